#include "reft/penalties/entries.h"

namespace csreft {

const Penalty none_penalty{
    .name = "none",
    .summary = "no penalty",
    .apply = [](const Variable& alpha) { return scale(sum(alpha), 0.0); },
};

}  // namespace csreft
