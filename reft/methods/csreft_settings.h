// The options of CS-ReFT, and those that its relatives share with it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "reft/methods/edit_sites.h"
#include "reft/methods/method.h"
#include "reft/router/router.h"

namespace csreft {

// --edit, the formula of a subspace, and the options of its edits.
void describe_subspace(Options& options, std::string& formula, EditOptions& edits);
// Throws Error for an activation that the formula has no use for.
void check_activation(const std::string& formula, const EditOptions& edits);
// The formulas of low rank that keep a part of them orthonormal.
std::vector<std::string_view> orthonormal_formulas();

// --router-layer. Gates that depend on hidden states read those of a block that no edit has changed: of one below the
// first edit, or of that one, before it.
void describe_router_layer(Options& options, std::int64_t& layer);
// -1 -> the block below the first of the edited `layers`, if there is one. Throws Error for a block above the first.
std::int64_t resolve_router_layer(std::int64_t layer, const std::string& layers, const LlamaConfig& config);

struct CsReftOptions {
  EditOptions edits;
  std::string edit = "direft";  // the formula of a subspace
  std::int64_t subspaces = 4;   // k, the shared ones among them
  std::int64_t shared = 0;      // the first of them, always open
  bool joint = false;           // R_i R_j^T = 0
  Chosen<Gate> gate{gates(), "gate", "top1"};
  std::string gate_scope = "prompt";
  std::string penalty = "mi";
  double lambda = 0.3;
  std::string router_input = "hidden";
  std::int64_t router_layer = -1;
  std::int64_t router_hidden = 64;
  bool router_norm = true;
  std::string router_start = "clusters";
  double router_lr = 0.1;
  std::vector<std::string> tasks;

  CsReftOptions() { edits.start = "identity"; }
  void describe(Options& options);
  // Throws Error for options that exclude each other.
  void check() const;
  // Replaces "auto" and -1 by the layers that they mean. Throws Error for layers that the model lacks or that no router
  // can read.
  void resolve(const LlamaConfig& config);

  // Where there is no router, gates are each example's own.
  bool by_token() const { return asks_router() && gate_scope == "token"; }
  bool asks_router() const { return gate->source() == GateSource::router; }
  std::int64_t competing() const { return subspaces - shared; }  // those that gates decide about

 private:
  void describe_router(Options& options);
};

}  // namespace csreft
