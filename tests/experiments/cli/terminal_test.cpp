#include "experiments/cli/terminal.h"

#include <doctest/doctest.h>

TEST_CASE("a help page is broken at spaces, and goes on below what it describes") {
  const std::string help =
      "A summary of seven words, no more.\n"
      "\n"
      "  --flag    what it does, at length\n"
      "              one: of its choices, too\n"
      "  --other   short\n"
      "            /a/path/that/is/longer/than/a/line\n"
      "Examples:\n"
      "  a line that is to be copied, whatever its length\n";
  CHECK(csreft::wrapped_help(help, 12, 100) == help);
  CHECK(csreft::wrapped_help(help, 12, 28) ==
        "A summary of seven words, no\n"
        "more.\n"
        "\n"
        "  --flag    what it does, at\n"
        "            length\n"
        "              one: of its\n"
        "                choices, too\n"
        "  --other   short\n"
        "            /a/path/that/is/longer/than/a/line\n"
        "Examples:\n"
        "  a line that is to be copied, whatever its length\n");
}
