// The table's entries, one a file.
#pragma once

#include "reft/interventions/intervention.h"

namespace csreft {

extern const Intervention loreft;
extern const Intervention noreft;
extern const Intervention consreft;
extern const Intervention lobireft;
extern const Intervention direft;
extern const Intervention nodireft;
extern const Intervention red;

}  // namespace csreft
