#include "experiments/report/plot.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <regex>
#include <string_view>

#include "core/base/child_process.h"
#include "core/base/error.h"

namespace csreft {
namespace {

// Grey, then Okabe and Ito's colours, then those of Tol's muted scheme that differ most from them.
constexpr std::array series_colours{"#8a8f98", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00",
                                    "#56b4e9", "#882255", "#999933", "#332288", "#cc6677", "#117733",
                                    "#aa4499", "#ddcc77", "#44aa99", "#7a5230", "#5b6b7b"};
// Ten equidistant colours of viridis: uniform in lightness, and safe for colour-blind readers.
constexpr std::array viridis{"#440154", "#482878", "#3e4a89", "#31688e", "#26828e",
                             "#1f9e89", "#35b779", "#6dcd59", "#b4de2c", "#fde725"};
// A colour that no data has; finish_svg replaces it by a pale currentColor.
constexpr const char* pale = "#010203";
// In pixels. Letters are 14 high, and as broad as here on average.
constexpr int width = 640;
constexpr double plot_width = 540.0;
constexpr double letter = 8.4, small_letter = 6.6;

std::string colour(std::size_t number) {
  const std::size_t others = series_colours.size() - 1;
  return series_colours[number == 0 ? 0 : (number - 1) % others + 1];
}

std::size_t longest(const std::vector<std::string>& names) {
  std::size_t most = 0;
  for (const auto& name : names) most = std::max(most, name.size());
  return most;
}

template <typename Series>
std::vector<std::string> names_of(const std::vector<Series>& series) {
  std::vector<std::string> names;
  for (const auto& one : series) names.push_back(one.name);
  return names;
}

// The names of series stand above the plot, in columns as broad as the longest of them.
struct Legend {
  int columns = 1, rows = 1;
};
Legend legend_of(const std::vector<std::string>& names) {
  constexpr double of_a_letter = 10.0, of_a_sample = 50.0;  // as much as gnuplot reserves
  const double column = of_a_letter * static_cast<double>(longest(names)) + of_a_sample;
  const int columns = std::max(1, static_cast<int>(plot_width / column));
  return {columns, std::max(1, (static_cast<int>(names.size()) + columns - 1) / columns)};
}

// A gnuplot string: nothing but the quote is special between single quotes.
std::string quote(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'')
      quoted += "''";
    else
      quoted += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return quoted + "'";
}

std::string run_gnuplot(const std::string& script) {
  const auto program = find_program("gnuplot");
  require(program.has_value(), "gnuplot is not found: expected the programme of Debian's package gnuplot-nox");
  const char* const without_settings = "-d";
  const ChildResult child = run_child({program->string(), without_settings}, {.input = script, .errors_apart = true});
  if (child.code != 0 || child.output.find("</svg>") == std::string::npos) {
    const std::string message = std::regex_replace(child.errors, std::regex("\\s+"), " ");
    fail("gnuplot failed:{}", message.empty() ? " no message" : message);
  }
  return child.output;
}

// Makes gnuplot's document an element of a page: no prolog, no tooltips, names of its own, the page's colours.
std::string finish_svg(std::string svg, const std::string& id, const std::string& label) {
  svg.erase(0, svg.find("<svg"));
  const auto replace = [&](const char* pattern, const std::string& by) {
    svg = std::regex_replace(svg, std::regex(pattern), by);
  };
  replace("<title>[^<]*</title>", "");
  replace("<desc>[^<]*</desc>", "");
  replace("<g [^>]*>\\s*</g>\\s*", "");  // gnuplot leaves many empty groups
  replace("\\bid=(['\"])", "id=$1" + id + "-");
  replace("href='#", "href='#" + id + "-");
  replace("url\\(#", "url(#" + id + "-");
  replace("\\b(color|fill|stroke)=(['\"])(black|rgb\\( *0, *0, *0\\))\\2", "$1=$2currentColor$2");
  replace("stroke='rgb\\(  1,   2,   3\\)'", "stroke='currentColor' stroke-opacity='0.2'");
  // gnuplot has escaped the title where it drew it; here it is an attribute.
  std::string escaped;
  for (const char c : label)
    escaped += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '"' ? "&quot;" : std::string(1, c);
  return "<svg role=\"img\" aria-label=\"" + escaped + "\"" + svg.substr(4);
}

std::string preamble(const std::string& title, int height, const Legend& legend = {}) {
  constexpr int row = 18;
  return fmt::format(
      "set terminal svg size {},{} dynamic font 'system-ui,-apple-system,Segoe "
      "UI,Roboto,Helvetica,Arial,sans-serif,14' "
      "noenhanced linewidth 1\nset encoding utf8\nset border 3 lc rgb '{}'\nset tics nomirror scale 0.5 textcolor rgb "
      "'black'\n"
      "set label {} at screen 0.012, screen 1 left offset 0,-1 font ',16'\nset tmargin {:.1f}\n"
      "set key horizontal maxcols {} Left reverse left bottom at graph 0, graph 1.04 samplen 1.5 width 1\n",
      width, height + row * (legend.rows - 1), pale, quote(title), 3.6 + 1.0 * legend.rows, legend.columns);
}

// s[i] = mean of v[0..i] with weights that fall by (1 - rate) a step.
std::vector<double> smoothed(const std::vector<double>& values) {
  const double rate = std::min(1.0, 20.0 / static_cast<double>(std::max<std::size_t>(values.size(), 1)));
  std::vector<double> result;
  double sum = 0;
  double weight = 0;
  for (const double value : values) {
    if (std::isfinite(value)) {
      sum = (1 - rate) * sum + rate * value;
      weight = (1 - rate) * weight + rate;
    }
    result.push_back(weight > 0 ? sum / weight : std::nan(""));
  }
  return result;
}

// A named block of the values at `x`; empty: at 1, 2, ...
std::string data_block(const std::string& name, const std::vector<double>& values, const std::vector<double>& x) {
  std::string block = fmt::format("${} << EOD\n", name);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double at = x.empty() ? static_cast<double>(i + 1) : x[i];
    block += std::isfinite(values[i]) ? fmt::format("{} {:.6g}\n", at, values[i]) : "\n";
  }
  return block + "EOD\n";
}

std::string tics(const std::string& axis, const std::vector<std::string>& names) {
  const double room = plot_width / static_cast<double>(std::max<std::size_t>(names.size(), 1));
  const bool is_slanted = axis == "x" && letter * static_cast<double>(longest(names)) > room;
  std::string command = fmt::format("set {}tics {}(", axis, is_slanted ? "rotate by -30 " : "");
  for (std::size_t i = 0; i < names.size(); ++i) command += fmt::format("{}{} {}", i ? ", " : "", quote(names[i]), i);
  return command + ") scale 0 textcolor rgb 'black'\n";
}

std::string palette() {
  std::string colours;
  for (std::size_t i = 0; i < viridis.size(); ++i) colours += fmt::format("{}{} '{}'", i ? ", " : "", i, viridis[i]);
  return colours;
}

// The mean of share `i` over steps [begin, end) that have a value; none if no step has.
std::optional<double> mean_share(const std::vector<std::vector<double>>& steps, std::size_t i, std::size_t begin,
                                 std::size_t end) {
  double sum = 0;
  double n = 0;
  for (std::size_t s = begin; s < end; ++s) {
    if (i >= steps[s].size()) continue;
    sum += steps[s][i];
    ++n;
  }
  return n > 0 ? std::optional(sum / n) : std::nullopt;
}

}  // namespace

namespace {

// The curves that are drawn in full colour.
std::vector<double> shown_values(const LineChart::Series& series) {
  return series.x.empty() ? smoothed(series.values) : series.values;
}

// Whether several curves fall far and end close to each other, so that an axis from 0 shows them as one. On the axis
// that is chosen then, the distance from 0.01 to 0.02 is that from 1 to 2.
bool wants_logarithm(const std::vector<LineChart::Series>& all) {
  constexpr double far = 3.0, close = 0.15;  // the highest value over the lowest; ends' distance over the axis
  std::vector<double> values, ends;
  for (const auto& series : all) {
    for (const double value : series.values) {
      if (std::isfinite(value) && value <= 0.0) return false;
    }
    std::vector<double> shown = shown_values(series);
    std::erase_if(shown, [](double value) { return !std::isfinite(value); });
    if (shown.empty()) continue;
    values.insert(values.end(), shown.begin(), shown.end());
    ends.push_back(shown.back());
  }
  if (ends.size() < 2) return false;
  const auto [low, high] = std::ranges::minmax(values);
  const auto [lowest_end, highest_end] = std::ranges::minmax(ends);
  return high > far * low && highest_end - lowest_end < close * (high - low);
}

// Steps of 2 where the values span less than two powers of ten, for at least some of them to be written.
std::string logarithmic_axis(const std::vector<LineChart::Series>& all) {
  std::vector<double> values;
  for (const auto& series : all) {
    std::ranges::copy_if(series.values, std::back_inserter(values), [](double v) { return std::isfinite(v); });
  }
  const auto [low, high] = std::ranges::minmax(values);
  return fmt::format("set logscale y {}\n", high < 100.0 * low ? 2 : 10);
}

// The breadth of a bar in pixels, and what is left free at both ends of the axis, in groups.
struct BarSizes {
  double pixels = 0.0, margin = 0.0, breadth = 0.0;  // breadth: of a bar and its gap, in groups
};
BarSizes bar_sizes(const BarChart& chart) {
  const auto groups = static_cast<double>(chart.groups.size());
  const double margin = groups < 3 ? 0.6 + (3.0 - groups) / 2.0 : 0.6;  // no bar too broad
  const double breadth = 0.8 / static_cast<double>(chart.series.size());
  return {plot_width * breadth / (groups - 1.0 + 2.0 * margin), margin, breadth};
}

// How many letters the longest of the values over the bars has.
std::size_t value_length(const BarChart& chart) {
  std::size_t most = 0;
  for (const auto& series : chart.series) {
    for (const auto& value : series.values) {
      if (value) most = std::max(most, fmt::formatted_size("{:.{}f}", *value, chart.decimals));
    }
  }
  return most;
}

bool are_values_upright(const BarChart& chart) {
  return small_letter * static_cast<double>(value_length(chart)) > bar_sizes(chart).pixels;
}

}  // namespace

bool shows_values(const BarChart& chart) {
  constexpr double narrowest = 11.0;  // the height of a letter
  return bar_sizes(chart).pixels >= narrowest;
}

bool has_gnuplot() { return find_program("gnuplot").has_value(); }

std::string draw(const LineChart& chart) {
  std::string script = preamble(chart.title, 320, legend_of(names_of(chart.series)));
  script += fmt::format("set xlabel {}\nset ylabel {}\nset grid ytics lt 1 lc rgb '{}'\n", quote(chart.x_label),
                        quote(chart.y_label), pale);
  double last = 2;
  std::string plots;
  for (std::size_t s = 0; s < chart.series.size(); ++s) {
    const auto& [name, values, x, number] = chart.series[s];
    require(std::ranges::any_of(values, [](double v) { return std::isfinite(v); }),
            "no finite value in the line {} of the chart {}: expected at least one", name, chart.id);
    require(x.empty() || x.size() == values.size(), "{} values at {} places in the line {} of the chart {}",
            values.size(), x.size(), name, chart.id);
    last = std::max(last, x.empty() ? static_cast<double>(values.size()) : x.back());
    const std::string line = colour(number);
    if (s > 0) plots += ", ";
    script += data_block(fmt::format("raw{}", s), values, x);
    if (!x.empty()) {
      plots += fmt::format("$raw{} using 1:2 with linespoints lw 2.2 pt 7 ps 0.4 lc rgb '{}' title {}", s, line,
                           quote(name));
      continue;
    }
    script += data_block(fmt::format("smooth{}", s), smoothed(values), x);
    plots += fmt::format(
        "$raw{0} using 1:2 with lines lw 1 lc rgb '#b0{1}' notitle, "
        "$smooth{0} using 1:2 with lines lw 2.2 lc rgb '{2}' title {3}",
        s, line.substr(1), line, quote(name));
  }
  require(!plots.empty(), "no lines in the chart {}: expected at least one", chart.id);
  if (wants_logarithm(chart.series)) script += logarithmic_axis(chart.series);
  script += fmt::format("set xrange [1:{}]\nset yrange [*:*]\nplot {}\n", last, plots);
  return finish_svg(run_gnuplot(script), chart.id, chart.title);
}

std::string draw(const BarChart& chart) {
  require(!chart.groups.empty() && !chart.series.empty(), "no bars in the chart {}: expected at least one", chart.id);
  const BarSizes sizes = bar_sizes(chart);
  const bool is_labelled = shows_values(chart), is_upright = are_values_upright(chart);
  std::string blocks, labels, bars, errors;
  double top = chart.top.value_or(0.0);
  for (std::size_t s = 0; s < chart.series.size(); ++s) {
    const auto& series = chart.series[s];
    require(series.values.size() == chart.groups.size() &&
                (series.errors.empty() || series.errors.size() == chart.groups.size()),
            "{} values and {} errors in the bars {} of the chart {}: expected {}", series.values.size(),
            series.errors.size(), series.name, chart.id, chart.groups.size());
    const double place = static_cast<double>(s) - (static_cast<double>(chart.series.size()) - 1.0) / 2.0;
    blocks += fmt::format("$bars{} << EOD\n", s);
    for (std::size_t g = 0; g < chart.groups.size(); ++g) {
      const double x = static_cast<double>(g) + sizes.breadth * place;
      if (!series.values[g] || !std::isfinite(*series.values[g])) {
        blocks += fmt::format("{:.4f} NaN NaN NaN\n", x);
        continue;
      }
      const double value = *series.values[g];
      const auto error = series.errors.empty() ? std::nullopt : series.errors[g];
      const double end = error ? std::max(value, error->high) : value;
      top = std::max(top, end);
      blocks += error ? fmt::format("{:.4f} {:.6g} {:.6g} {:.6g}\n", x, value, error->low, error->high)
                      : fmt::format("{:.4f} {:.6g} NaN NaN\n", x, value);
      if (!is_labelled) continue;
      labels += fmt::format("set label '{:.{}f}' at {:.4f},{:.6g} {} font ',11'\n", value, chart.decimals, x, end,
                            is_upright ? "left rotate by 90 offset 0,0.4" : "center offset 0,0.55");
    }
    blocks += "EOD\n";
    bars += fmt::format("{}$bars{} using 1:2 with boxes fs solid 1 noborder lc rgb '{}' title {}", s ? ", " : "", s,
                        colour(series.colour), quote(series.name));
    if (!series.errors.empty()) {
      errors += fmt::format(
          ", $bars{} using 1:3:(0):($4-$3) with vectors heads size screen 0.005,90 lc rgb 'black' notitle", s);
    }
  }
  // Room for what is written over the highest bar.
  const double room = !is_labelled ? 1.04 : is_upright ? 1.06 + 0.042 * static_cast<double>(value_length(chart)) : 1.12;
  std::string script =
      preamble(chart.title, 340, legend_of(names_of(chart.series))) + blocks + labels + tics("x", chart.groups);
  script += fmt::format("set ylabel {}\nset grid ytics lt 1 lc rgb '{}'\nset boxwidth {:.4f}\nset pointintervalbox 0\n",
                        quote(chart.y_label), pale, sizes.breadth * 0.9);
  if (chart.top) script += fmt::format("set ytics 0,{0:.6g},{1:.6g}\n", *chart.top / 5.0, *chart.top);
  script += fmt::format("set xrange [{:.2f}:{:.2f}]\nset yrange [0:{:.6g}]\nplot {}{}\n", -sizes.margin,
                        static_cast<double>(chart.groups.size() - 1) + sizes.margin, top > 0 ? top * room : 1.0, bars,
                        errors);
  return finish_svg(run_gnuplot(script), chart.id, chart.title);
}

std::string draw(const Heatmap& chart) {
  require(!chart.rows.empty() && !chart.columns.empty() && chart.values.size() == chart.rows.size(),
          "{} rows of values in the chart {}: expected {}, and at least one column", chart.values.size(), chart.id,
          chart.rows.size());
  constexpr std::size_t most_labelled = 14;  // columns with room for four letters
  const bool is_labelled = chart.columns.size() <= most_labelled;
  std::string cells = "$cells << EOD\n";
  std::string labels;
  for (std::size_t r = 0; r < chart.rows.size(); ++r) {
    require(chart.values[r].size() == chart.columns.size(), "{} values in row {} of the chart {}: expected {}",
            chart.values[r].size(), chart.rows[r], chart.id, chart.columns.size());
    for (std::size_t c = 0; c < chart.columns.size(); ++c) {
      const double value = chart.values[r][c];
      if (!std::isfinite(value)) continue;
      cells += fmt::format("{} {} {:.6g}\n", c, r, value);
      if (!is_labelled) continue;
      labels += fmt::format("set label '{:.2f}' at {},{} center front textcolor rgb '{}'\n", value, c, r,
                            value > 0.55 ? "#101010" : "#fafafa");
    }
  }
  std::string script = preamble(chart.title, 120 + 44 * static_cast<int>(chart.rows.size()));
  script += cells + "EOD\n" + labels + tics("x", chart.columns) + tics("y", chart.rows);
  script += fmt::format(
      "unset border\nunset key\nset xlabel {}\nset palette defined ({})\nset cbrange [0:1]\n"
      "set tmargin 3\nset cbtics 0.25 textcolor rgb 'black'\nset xrange [-0.5:{}.5]\nset yrange [{}.5:-0.5]\n",
      quote(chart.x_label), palette(), chart.columns.size() - 1, chart.rows.size() - 1);
  script +=
      "plot $cells using 1:2:($1-.48):($1+.48):($2-.46):($2+.46):3 with boxxyerror fs solid 1 noborder lc palette\n";
  return finish_svg(run_gnuplot(script), chart.id, chart.title);
}

std::string draw(const Timeline& chart) {
  require(!chart.groups.empty() && chart.values.size() == chart.groups.size(),
          "{} groups of values in the chart {}: expected {}, and at least one", chart.values.size(), chart.id,
          chart.groups.size());
  constexpr std::size_t most_cells = 60;
  const std::size_t n_steps = chart.values.front().size();
  std::size_t shares = 0;
  for (const auto& steps : chart.values) {
    require(steps.size() == n_steps, "{} steps in a group of the chart {}: expected {}", steps.size(), chart.id,
            n_steps);
    for (const auto& step : steps) shares = std::max(shares, step.size());
  }
  const std::size_t at_once = std::max<std::size_t>(1, (n_steps + most_cells - 1) / most_cells);
  const double band = static_cast<double>(shares) + 0.6;  // rows of a group, and the gap below it
  std::string cells = "$cells << EOD\n";
  std::string tics = "set ytics (";
  for (std::size_t g = 0; g < chart.groups.size(); ++g) {
    const double top = band * static_cast<double>(g);
    tics += fmt::format("{}{} {:.2f}", g ? ", " : "", quote(chart.groups[g]), top + static_cast<double>(shares) / 2);
    for (std::size_t begin = 0; begin < n_steps; begin += at_once) {
      const std::size_t end = std::min(n_steps, begin + at_once);
      for (std::size_t i = 0; i < shares; ++i) {
        const auto mean = mean_share(chart.values[g], i, begin, end);
        const double y = top + static_cast<double>(i);
        if (mean) cells += fmt::format("{} {} {:.2f} {:.2f} {:.4f}\n", begin + 1, end + 1, y + 0.05, y + 0.95, *mean);
      }
    }
  }
  const double bottom = band * static_cast<double>(chart.groups.size()) - 0.6;
  std::string script = preamble(chart.title, 110 + static_cast<int>(16 * bottom));
  script += cells + "EOD\n" + tics + ") scale 0 textcolor rgb 'black'\n";
  script += fmt::format(
      "unset border\nunset key\nset xlabel {}\nset palette defined ({})\nset cbrange [0:1]\nset tmargin 3\n"
      "set cbtics 0.25 textcolor rgb 'black'\nset xrange [1:{}]\nset yrange [{:.2f}:0]\n",
      quote(chart.x_label), palette(), n_steps + 1, bottom);
  script += "plot $cells using 1:3:1:2:3:4:5 with boxxyerror fs solid 1 noborder lc palette\n";
  return finish_svg(run_gnuplot(script), chart.id, chart.title);
}

}  // namespace csreft
