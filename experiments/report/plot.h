// Charts drawn by gnuplot, as SVG elements to be put into an HTML page.
//
// Text and axes take the page's colour (currentColor), so a chart suits light and dark pages; the colours of data are
// told apart by colour-blind readers. Several charts can share a page when their `id`s differ.
// Every function throws Error for data of unequal lengths, and when gnuplot is missing or fails.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "experiments/report/uncertainty.h"

namespace csreft {

// Colours of series, by number: 0 is grey, for what the others are compared with. Beyond the last they begin again
// at 1.

// Whether PATH has gnuplot.
bool has_gnuplot();

struct LineChart {
  struct Series {
    std::string name;
    std::vector<double> values;  // values that are not finite leave a gap
    std::vector<double> x{};     // of each value, increasing, the first 1 or more; empty: 1, 2, ...
    std::size_t colour = 1;
  };
  std::string id;  // letters, digits and '-'
  std::string title, x_label, y_label;
  std::vector<Series> series;
};

// Each series pale as it is, and in full colour smoothed by an exponential average over about a twentieth of it; one
// with its own x in full colour as it is, with a dot at each value. Several that fall far and end close to each other
// have a logarithmic axis, on which they can be told apart.
std::string draw(const LineChart& chart);

struct BarChart {
  struct Series {
    std::string name;
    std::vector<std::optional<double>> values;    // one a group; none: no bar
    std::vector<std::optional<Interval>> errors;  // the ends of each error bar; none: no error bar; empty: none at all
    std::size_t colour = 1;
  };
  std::string id;
  std::string title, y_label;
  std::vector<std::string> groups;
  std::vector<Series> series;
  std::optional<double> top;  // of what can be; none: from the data
  int decimals = 1;           // of the values written over the bars
};

std::string draw(const BarChart& chart);
// Whether the bars are broad enough for their values to be written over them; else the chart has none.
bool shows_values(const BarChart& chart);

struct Heatmap {
  std::string id;
  std::string title, x_label;
  std::vector<std::string> rows, columns;
  std::vector<std::vector<double>> values;  // [rows][columns], on a scale from 0 to 1; not finite: left empty
};

std::string draw(const Heatmap& chart);

// How shares change over steps: a band for each group, in it a row for each share.
struct Timeline {
  std::string id;
  std::string title, x_label;
  std::vector<std::string> groups;
  // [groups][steps][shares], on a scale from 0 to 1; a step without a value in a group is empty.
  std::vector<std::vector<std::vector<double>>> values;
};

// Steps are averaged so that at most about sixty cells stand side by side.
std::string draw(const Timeline& chart);

}  // namespace csreft
