"""Results by CPU: a JSON file and a plot of each in docs/benchmarks, and the tables of the pages.

A page marks a table with a comment such as `<!-- bench step: 2-8-1, .* -->`: the name of a bench,
and a regular expression for the cases to show. The table below it has a row for each case and CPU.
"""

import datetime
import json
import re
from dataclasses import asdict

from bench import ROOT, plot
from bench.machine import Cpu
from bench.names import LIBRARIES

FOLDER = ROOT / "docs" / "benchmarks"
PAGES = [ROOT / "README.md", ROOT / "docs" / "benchmarks.md"]
MARKED_TABLE = re.compile(r"(<!-- bench (\w+): (.*) -->\n)(\n(\|.*\n)+)?")


def rounded(value):
    """Return a number with three significant digits, so that changes of a file are readable."""
    value = float(f"{value:.3g}")
    return int(value) if value == int(value) else value


def cases(records):
    """Return the minima of a bench's records, as {case: {"unit", "results", "limit"}}."""
    found = {}
    for record in records:
        if not record.detail:
            results = {name: rounded(r.minimum) for name, r in record.results.items()}
            found[record.case] = {"unit": record.unit, "results": results}
            if record.limit is not None:
                found[record.case]["limit"] = rounded(record.limit)
    return found


def entries(results, fastnn, versions):
    """Return {bench: entry} for pairs of a bench and a record, with today's date."""
    by_bench = {}
    for bench, record in results:
        by_bench.setdefault(bench, []).append(record)
    about = {"date": datetime.date.today().isoformat(), "fastnn": fastnn, "versions": versions}
    return {bench: {**about, "cases": cases(records)} for bench, records in by_bench.items()}


def load(folder=FOLDER):
    """Return the saved files, as a list of {"cpu", "benches"}, ordered by the CPUs' labels."""
    found = [json.loads(file.read_text(encoding="utf-8")) for file in folder.glob("*.json")]
    return sorted(found, key=lambda machine: Cpu(**machine["cpu"]).label)


def save(cpu, new, folder=FOLDER):
    """Replace the benches' entries in the file of a CPU, and draw all that the file holds."""
    file = folder / f"{cpu.slug}.json"
    old = json.loads(file.read_text(encoding="utf-8"))["benches"] if file.exists() else {}
    benches = dict(sorted({**old, **new}.items()))
    folder.mkdir(exist_ok=True)
    file.write_text(text_of({"cpu": asdict(cpu), "benches": benches}), encoding="utf-8")
    plot.draw(folder / f"{cpu.slug}.svg", cpu.label, benches)


def text_of(machine):
    """Return the JSON of a machine: a line for each case."""
    lines = []
    for bench, entry in machine["benches"].items():
        about = [f"   {json.dumps(k)}: {dumped(v)}," for k, v in entry.items() if k != "cases"]
        rows = [f"    {dumped(case)}: {dumped(row)}" for case, row in entry["cases"].items()]
        body = [*about, '   "cases": {', ",\n".join(rows), "   }"]
        lines.append("\n".join([f"  {json.dumps(bench)}: {{", *body, "  }"]))
    benches = ",\n".join(lines)
    return f'{{\n "cpu": {dumped(machine["cpu"])},\n "benches": {{\n{benches}\n }}\n}}\n'


def dumped(value):
    return json.dumps(value, ensure_ascii=False)


def cell(value):
    """Return a number as a cell of a page."""
    if value is None:
        return "\N{EN DASH}"
    return f"{value:,.0f}" if value >= 1000 else f"{value:g}"


def table(machines, bench, pattern):
    """Return a Markdown table of the cases of a bench whose whole name matches a pattern.

    A case has a row for each CPU that has it. The columns are the libraries that have a result.
    """
    rows = {}
    for machine in machines:
        for case, row in machine["benches"].get(bench, {"cases": {}})["cases"].items():
            if re.fullmatch(pattern, case):
                rows.setdefault(case, []).append((Cpu(**machine["cpu"]).label, row))
    if not rows:
        raise SystemExit(f"no saved case of the bench {bench} matches {pattern!r}")
    every = [row for found in rows.values() for _, row in found]
    columns = list(dict.fromkeys(name for row in every for name in row["results"]))
    subject, *others = columns
    order = [*LIBRARIES]
    others.sort(key=lambda name: order.index(name) if name in order else len(order))
    columns = [subject, *others]
    (unit,) = {row["unit"] for row in every}
    heads = [unit, "CPU", *(LIBRARIES.get(name, name) for name in columns)]
    with_limit = any("limit" in row for row in every)
    lines = [[*heads, *["limit"] * with_limit]]
    lines.append(["---"] * len(lines[0]))
    for case, found in rows.items():
        for i, (label, row) in enumerate(found):
            results = [cell(row["results"].get(name)) for name in columns]
            limit = [cell(row.get("limit"))] * with_limit
            lines.append(["" if i else case, label, *results, *limit])
    return "".join(f"|{'|'.join(line)}|\n" if line[0] == "---" else row_of(line) for line in lines)


def row_of(cells):
    return f"| {' | '.join(cells)} |\n".replace("|  |", "| |")


def filled(text, machines):
    """Return the text of a page with its tables made anew."""
    return MARKED_TABLE.sub(lambda m: f"{m[1]}\n{table(machines, m[2], m[3])}", text)


def fill_pages():
    """Write the tables into the pages."""
    machines = load()
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8"), machines), encoding="utf-8")
