"""render.py <CASES.json: what jinja2 makes of templates with transformers' settings, as a JSON list; null for an error."""
import datetime
import json
import sys

try:
    import jinja2
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment
except ImportError:
    sys.exit(3)


class Generation(Extension):
    """A block that training masks; its text is written as it is."""
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("write"), [], [], body).set_lineno(line)

    def write(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def render(environment, compiled, case):
    source = case["template"]
    try:
        if source not in compiled:
            compiled[source] = environment.from_string(source)
        return compiled[source].render(**case["variables"])
    except Exception:
        return None


def main():
    asked = json.load(sys.stdin)
    now = datetime.datetime.fromtimestamp(asked["now"])
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                                extensions=[Generation, loopcontrols])
    environment.filters["tojson"] = lambda value, **options: json.dumps(value, **{"ensure_ascii": False, **options})
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = now.strftime
    compiled = {}
    json.dump([render(environment, compiled, case) for case in asked["cases"]], sys.stdout)


if __name__ == "__main__":
    main()
