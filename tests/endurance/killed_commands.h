// The commands that are killed, each on a model and data so small that a start takes a part of a second.
#pragma once

#include "tests/endurance/kills.h"

// training, ablation, generate, bundle and download, in this order.
std::vector<KilledGroup> killed_groups();

// The words of one of this project's commands for the model and the data that small_work() puts into a folder. What
// they make is named `made`.
KilledCommand::Words small_training(const std::vector<std::string>& more);
KilledCommand::Words small_ablation(const std::vector<std::string>& more);
KilledCommand::Words small_answers();
void small_work(const std::filesystem::path& folder);

// Those of killed_groups() that are scripts.
KilledGroup killed_bundle();
KilledGroup killed_download();
