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

// Grey for the first series (what the others are compared with), then Okabe and Ito's colours.
constexpr std::array series_colours{"#8a8f98", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"};
// Ten equidistant colours of viridis: uniform in lightness, and safe for colour-blind readers.
constexpr std::array viridis{"#440154", "#482878", "#3e4a89", "#31688e", "#26828e",
                             "#1f9e89", "#35b779", "#6dcd59", "#b4de2c", "#fde725"};
// A colour that no data has; finish_svg replaces it by a pale currentColor.
constexpr const char* pale = "#010203";
constexpr int width = 760;

std::string colour(std::size_t series) { return series_colours[series % series_colours.size()]; }

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

std::string preamble(const std::string& title, int height) {
  return fmt::format(
      "set terminal svg size {},{} dynamic font 'system-ui,-apple-system,Segoe "
      "UI,Roboto,Helvetica,Arial,sans-serif,14' "
      "noenhanced linewidth 1\nset encoding utf8\nset border 3 lc rgb '{}'\nset tics nomirror scale 0.5 textcolor rgb "
      "'black'\n"
      "set label {} at screen 0.012, screen 1 left offset 0,-1 font ',16'\nset tmargin 4.6\n"
      "set key horizontal Left reverse left bottom at graph 0, graph 1.04 samplen 1.5 width 1\n",
      width, height, pale, quote(title));
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

// A named block of (1, v[0]), (2, v[1]), ...
// The values at `x`; empty: at 1, 2, ...
std::string data_block(const std::string& name, const std::vector<double>& values, const std::vector<double>& x) {
  std::string block = fmt::format("${} << EOD\n", name);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double at = x.empty() ? static_cast<double>(i + 1) : x[i];
    block += std::isfinite(values[i]) ? fmt::format("{} {:.6g}\n", at, values[i]) : "\n";
  }
  return block + "EOD\n";
}

std::string tics(const std::string& axis, const std::vector<std::string>& names) {
  std::string command = fmt::format("set {}tics (", axis);
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

bool has_gnuplot() { return find_program("gnuplot").has_value(); }

std::string draw(const LineChart& chart) {
  std::string script = preamble(chart.title, 340);
  script += fmt::format("set xlabel {}\nset ylabel {}\nset grid ytics lt 1 lc rgb '{}'\n", quote(chart.x_label),
                        quote(chart.y_label), pale);
  double last = 2;
  std::string plots;
  for (std::size_t s = 0; s < chart.series.size(); ++s) {
    const auto& [name, values, x] = chart.series[s];
    require(std::ranges::any_of(values, [](double v) { return std::isfinite(v); }),
            "no finite value in the line {} of the chart {}: expected at least one", name, chart.id);
    require(x.empty() || x.size() == values.size(), "{} values at {} places in the line {} of the chart {}",
            values.size(), x.size(), name, chart.id);
    last = std::max(last, x.empty() ? static_cast<double>(values.size()) : x.back());
    // The first colour is the grey of a comparison's starting point, which a curve does not have.
    const std::string line = colour(s + 1);
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
  script += fmt::format("set xrange [1:{}]\nset yrange [*:*]\nplot {}\n", last, plots);
  return finish_svg(run_gnuplot(script), chart.id, chart.title);
}

std::string draw(const BarChart& chart) {
  require(!chart.groups.empty() && !chart.series.empty(), "no bars in the chart {}: expected at least one", chart.id);
  const std::size_t n_series = chart.series.size();
  const std::size_t n_groups = chart.groups.size();
  const double margin = n_groups < 3 ? 0.6 + static_cast<double>(3 - n_groups) / 2 : 0.6;  // no bar too broad
  const double bar = 0.8 / static_cast<double>(n_series);
  double top = 0;
  std::string blocks;
  std::string labels;
  std::string bars;
  std::string errors;
  for (std::size_t s = 0; s < n_series; ++s) {
    const auto& series = chart.series[s];
    require(series.values.size() == chart.groups.size() &&
                (series.errors.empty() || series.errors.size() == chart.groups.size()),
            "{} values and {} errors in the bars {} of the chart {}: expected {}", series.values.size(),
            series.errors.size(), series.name, chart.id, chart.groups.size());
    blocks += fmt::format("$bars{} << EOD\n", s);
    for (std::size_t g = 0; g < chart.groups.size(); ++g) {
      const double x =
          static_cast<double>(g) + bar * (static_cast<double>(s) - (static_cast<double>(n_series) - 1) / 2);
      if (!series.values[g] || !std::isfinite(*series.values[g])) {
        blocks += fmt::format("{:.4f} NaN NaN\n", x);
        continue;
      }
      const double value = *series.values[g];
      const double error = series.errors.empty() ? 0.0 : series.errors[g];
      top = std::max(top, value + error);
      blocks += fmt::format("{:.4f} {:.6g} {:.6g}\n", x, value, error);
      labels += fmt::format("set label '{:.{}f}' at {:.4f},{:.6g} center offset 0,0.55 font ',11'\n", value,
                            chart.decimals, x, value + error);
    }
    blocks += "EOD\n";
    bars += fmt::format("{}$bars{} using 1:2 with boxes fs solid 1 noborder lc rgb '{}' title {}", s ? ", " : "", s,
                        colour(s), quote(series.name));
    if (!series.errors.empty()) {
      errors += fmt::format(
          ", $bars{} using 1:($2-$3):(0):(2*$3) with vectors heads size screen 0.005,90 lc rgb 'black' notitle", s);
    }
  }
  std::string script = preamble(chart.title, 360) + blocks + labels + tics("x", chart.groups);
  script += fmt::format(
      "set ylabel {}\nset grid ytics lt 1 lc rgb '{}'\nset boxwidth {:.4f}\nset pointintervalbox "
      "0\n",
      quote(chart.y_label), pale, bar * 0.9);
  script += fmt::format("set xrange [{:.2f}:{:.2f}]\nset yrange [0:{:.6g}]\n", -margin,
                        static_cast<double>(n_groups - 1) + margin, chart.top.value_or(top > 0 ? top * 1.12 : 1.0));
  script += fmt::format("plot {}{}\n", bars, errors);
  return finish_svg(run_gnuplot(script), chart.id, chart.title);
}

std::string draw(const Heatmap& chart) {
  require(!chart.rows.empty() && !chart.columns.empty() && chart.values.size() == chart.rows.size(),
          "{} rows of values in the chart {}: expected {}, and at least one column", chart.values.size(), chart.id,
          chart.rows.size());
  std::string cells = "$cells << EOD\n";
  std::string labels;
  for (std::size_t r = 0; r < chart.rows.size(); ++r) {
    require(chart.values[r].size() == chart.columns.size(), "{} values in row {} of the chart {}: expected {}",
            chart.values[r].size(), chart.rows[r], chart.id, chart.columns.size());
    for (std::size_t c = 0; c < chart.columns.size(); ++c) {
      const double value = chart.values[r][c];
      cells += fmt::format("{} {} {:.6g}\n", c, r, value);
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
