# SPDX-License-Identifier: Apache-2.0
"""Arithmetic and the table: medians, ratios, what holds, and how it is printed."""
import statistics

from peers import PEERS


def spread(values):
    """Median, lowest and highest of the rounds that have a number; None: no round has."""
    known = [value for value in values if value is not None]
    return (statistics.median(known), min(known), max(known)) if known else None


def title_of(name):
    return PEERS[name].title if name in PEERS else name


def judge(measure, medians):
    """What each bound comes to: a list of dicts. `holds` is None where it cannot be said: a peer
    that it is about was left out, or added less than nothing, which is noise."""
    answers = []
    weir = medians.get("weir")
    for bound in measure.bounds:
        if not bound.peers:
            answers.append({"peer": "weir", "limit": bound.limit, "unit": measure.unit,
                            "value": weir, "holds": None if weir is None else weir <= bound.limit})
            continue
        known = [peer for peer in bound.peers if (medians.get(peer) or 0) > 0]
        if bound.best:
            # Only all of them say which is the best.
            known = [min(known, key=medians.get)] if len(known) == len(bound.peers) else []
        for peer in known or bound.peers:
            value = weir / medians[peer] if peer in known and weir is not None else None
            answers.append({"peer": peer, "limit": bound.limit, "unit": "x", "value": value,
                            "holds": None if value is None else value <= bound.limit})
    return answers


def words_of(answer):
    """The bound and the verdict, as cells."""
    unit = " x" if answer["unit"] == "x" else ""
    verdict = {True: "holds", False: "FAILS", None: "not judged"}[answer["holds"]]
    return f"<= {answer['limit']:g}{unit}", verdict


def digits_of(value, digits):
    return f"{value:,.{digits}f}"


HEAD = ["work", "unit", "proxy", "median", "lowest", "highest", "weir / it", "must", ""]


def lines_of(result):
    """Cells of one result: a row's measure with its rounds. `result` is as in the JSON."""
    lines = []
    weir = result["proxies"].get("weir")
    for name, proxy in result["proxies"].items():
        bounds = [answer for answer in result["bounds"] if answer["peer"] == name]
        must, verdict = words_of(bounds[0]) if bounds else ("", "")
        if proxy["median"] is None:
            numbers = ["-", "", "", ""]
        else:
            numbers = [digits_of(proxy[key], result["digits"])
                       for key in ("median", "lowest", "highest")]
            ratio = weir and weir["median"] is not None and proxy["median"] > 0
            numbers.append(f"{weir['median'] / proxy['median']:.3f}"
                           if ratio and name != "weir" else "")
        first = not lines
        lines.append([result["title"] if first else "", result["unit"] if first else "",
                      title_of(name) + (" *" if proxy["errors"] else ""), *numbers, must, verdict])
    return lines


NUMBERS = range(3, 7)  # columns that are set to the right


def print_text(results):
    lines = [HEAD] + [line for result in results for line in lines_of(result)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    out = []
    for number, line in enumerate(lines):
        if line[0] and number:
            out.append("")
        out.append("  ".join(cell.rjust(width) if column in NUMBERS else cell.ljust(width)
                             for column, (cell, width) in enumerate(zip(line, widths))).rstrip())
    return "\n".join(out) + "\n"


def print_markdown(results):
    out = ["| " + " | ".join(HEAD) + " |",
           "| " + " | ".join("---:" if column in NUMBERS else "---"
                             for column in range(len(HEAD))) + " |"]
    for result in results:
        out += ["| " + " | ".join(cell.replace(" *", r" \*") for cell in line) + " |"
                for line in lines_of(result)]
    return "\n".join(out) + "\n"


OTHERS_MAX = 0.10  # of one core
RATE_MIN = 0.98  # of the rate that was to be


def cautions(results):
    """Why not to trust it, in sentences."""
    out, disturbed = [], []
    for result in results:
        for name, proxy in result["proxies"].items():
            where = f"{result['row']}, {title_of(name)}"
            if proxy["errors"]:
                out.append(f"{where} *: up to {proxy['errors']:.0f} errors a round; the first: "
                           f"{proxy['first_error']}")
            slow = [one for one in proxy["figures"]
                    if one.get("rate_hz", 0) < RATE_MIN * (result["rate_hz"] or 0)]
            if slow:
                out.append(f"{where}: did not reach the rate in {len(slow)} of "
                           f"{len(proxy['figures'])} rounds: its latencies are those of a queue")
            disturbed += [(one["others_busy"], where) for one in proxy["figures"]
                          if one.get("others_busy", 0) > OTHERS_MAX]
    if disturbed:
        busy, where = max(disturbed)
        out.append(f"others used more than {OTHERS_MAX * 100:.0f} % of a core in {len(disturbed)} "
                   f"trials, at most {busy * 100:.0f} % ({where}): figures are worse than they "
                   "should be")
    return list(dict.fromkeys(out))
