// Comparing a function's backward with differences of its forward, for whoever adds a function.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "autograd/variable.h"

namespace csreft {

struct GradcheckOptions {
  // x is moved by step * max(1, |x|) in both directions. Central differences err by about step^2 |f'''| / 6 from
  // truncation and by 2^-53 |f| / step from rounding: for values of order 1 in f64, 1e-13 and 1e-10.
  double step = 1e-6;
  // |analytic - numeric| may be absolute + relative * max(|analytic|, |numeric|): a hundred times the rounding above,
  // to leave room for sums of many terms, and far below any mistake in a formula.
  double absolute = 1e-8;
  double relative = 1e-6;
  // Elements tried in each input, drawn without repetition; 0: all of them.
  std::int64_t sample = 0;
  // Of the drawn elements, and of the weights of the output.
  std::uint64_t seed = 1;
};

struct GradcheckResult {
  bool passed = true;
  double max_error = 0.0;    // the largest |analytic - numeric|, in units of what is allowed: more than 1 fails
  std::int64_t checked = 0;  // elements tried
  // Where max_error is, and what was found there.
  std::size_t input = 0;
  std::int64_t element = 0;
  double analytic = 0.0;
  double numeric = 0.0;

  // "input 1, element 7: backward gives 0.25, differences give 0.5 (3e+05 times what is allowed)"
  std::string str() const;
};

// Checks the gradients of `function` with respect to `inputs`, parameters that it reads each time it is called. The
// loss is the sum of the output's elements with random weights, so that no error of one element hides behind another's.
// The function must give the same value every time and be smooth within a step of its inputs. Their values are changed
// while it runs and restored; their gradients are cleared. Throws Error for an input that is no f64 parameter or an
// output that depends on none of them.
GradcheckResult gradcheck(const std::function<Variable()>& function, std::span<const Variable> inputs,
                          const GradcheckOptions& options = {});

// The same for a function of its inputs: each is a new parameter with a copy of that value.
GradcheckResult gradcheck(const std::function<Variable(std::span<const Variable>)>& function,
                          std::span<const Tensor> inputs, const GradcheckOptions& options = {});

}  // namespace csreft
