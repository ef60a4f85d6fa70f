// A chart in its frame on a page.
#pragma once

#include <string>

#include <fmt/format.h>

#include "experiments/report/plot.h"

namespace csreft {

// `caption` is HTML. Nothing where there is no gnuplot to draw it.
template <typename Chart>
std::string figure(const Chart& chart, const std::string& caption) {
  if (!has_gnuplot()) return "";
  return fmt::format("<figure><div class=\"wide\">{}</div><figcaption>{}</figcaption></figure>\n", draw(chart),
                     caption);
}

}  // namespace csreft
