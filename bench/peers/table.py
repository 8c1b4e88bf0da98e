# SPDX-License-Identifier: Apache-2.0
"""Arithmetic and the table: medians, ratios, what holds, and how it is printed."""
import math
import statistics

from peers import PEERS


def spread(values):
    """Median, lowest and highest of the rounds that have a number; None: no round has."""
    known = [value for value in values if value is not None]
    return (statistics.median(known), min(known), max(known)) if known else None


def title_of(name):
    return PEERS[name].title if name in PEERS else name


ALIKE = 1.5  # as in bench/core_latency.c


def are_alike(one, other):
    """Whether two trials were made at like core latencies. One that is not known is like any."""
    ours, theirs = one.get("core_latency_ns"), other.get("core_latency_ns")
    return not ours or not theirs or max(ours, theirs) < ALIKE * min(ours, theirs)


def can_compare(one, other, figure):
    return one.get(figure) is not None and other.get(figure) is not None and are_alike(one, other)


def pairs_of(proxies, peer):
    """weir's and the peer's figure of each round in which both have one, and whether the two
    trials can be compared."""
    none = {"rounds": [], "figures": []}
    ours, theirs = proxies.get("weir", none), proxies.get(peer, none)
    return [(a, b, are_alike(one, other))
            for a, b, one, other in zip(ours["rounds"], theirs["rounds"],
                                        ours["figures"], theirs["figures"])
            if a is not None and b is not None]


def ratio_of(proxies, peer):
    """weir's figure through the peer's of the same round, the median of the rounds that count: a
    machine that is slower for a while is so for both. None: no round has both. Of added latencies
    one can be less than nothing, which is noise, whoever's it is: such a round is one of the best
    or of the worst, and left out only where neither has added anything."""
    ratios = [ours / theirs if theirs > 0 else math.inf
              for ours, theirs, counts in pairs_of(proxies, peer)
              if counts and max(ours, theirs) > 0]
    median = statistics.median(ratios) if ratios else math.inf
    return median if math.isfinite(median) else None


def judge(measure, proxies):
    """What each bound comes to: a list of dicts. `holds` is None where it cannot be said: a peer
    that it is about was left out, or has no figure."""
    answers = []
    for bound in measure.bounds:
        if not bound.peers:
            value = proxies["weir"]["median"] if "weir" in proxies else None
            answers.append({"peer": "weir", "limit": bound.limit, "unit": measure.unit,
                            "value": value,
                            "holds": None if value is None else value <= bound.limit})
            continue
        ratios = {peer: ratio_of(proxies, peer) for peer in bound.peers}
        if bound.best:
            # Only all of them say which is the best: the one that weir is least ahead of.
            known = [peer for peer in bound.peers if ratios[peer] is not None]
            if len(known) == len(bound.peers):
                ratios = dict([max(ratios.items(), key=lambda item: item[1])])
            else:
                ratios = dict.fromkeys(bound.peers)
        answers += [{"peer": peer, "limit": bound.limit, "unit": "x", "value": value,
                     "holds": None if value is None else value <= bound.limit}
                    for peer, value in ratios.items()]
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
    for name, proxy in result["proxies"].items():
        bounds = [answer for answer in result["bounds"] if answer["peer"] == name]
        must, verdict = words_of(bounds[0]) if bounds else ("", "")
        if proxy["median"] is None:
            numbers = ["-", "", "", ""]
        else:
            numbers = [digits_of(proxy[key], result["digits"])
                       for key in ("median", "lowest", "highest")]
            ratio = None if name == "weir" else ratio_of(result["proxies"], name)
            numbers.append("" if ratio is None else f"{ratio:.3f}")
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


OTHERS_MAX, STOLEN_MAX = 0.10, 0.02  # of one core, as in bench/load_report.c
# Of one core, too, as "taken" in bench/README.md: with those that queue behind such pauses, 1 % of
# the requests.
TAKEN_MAX = 0.005
RATE_MIN = 0.98  # of the rate that was to be


def is_disturbed(figures):
    """Whether the latencies of a trial are those of somebody else, or of the host."""
    return figures.get("stolen", 0) > STOLEN_MAX or figures.get("taken", 0) > TAKEN_MAX


def trials_above(results, figure, limit):
    """What it was in trials where it was more, and where. Results of a row have the same trials."""
    return [(one[figure], f"{result['row']}, {title_of(name)}")
            for result in {result["row"]: result for result in results}.values()
            for name, proxy in result["proxies"].items()
            for one in proxy["figures"] if one.get(figure, 0) > limit]


def cautions(results):
    """Why not to trust it, in sentences."""
    out = []
    for result in results:
        for name, proxy in result["proxies"].items():
            where = f"{result['row']}, {title_of(name)}"
            if proxy["errors"]:
                out.append(f"{where} *: up to {proxy['errors']:.0f} errors a round; the first: "
                           f"{proxy['first_error']}")
            slow = [one for one in proxy["figures"]
                    if one.get("rate_hz", 0) < RATE_MIN * (one.get("asked_hz") or 0)]
            if slow:
                out.append(f"{where}: did not reach the rate in {len(slow)} of "
                           f"{len(proxy['figures'])} rounds: its latencies are those of a queue")
            pairs = pairs_of(result["proxies"], name)
            lost = sum(not counts for _, _, counts in pairs)
            if lost:
                out.append(f"{where}: {lost} of {len(pairs)} rounds do not count: the cores were "
                           "near each other for one trial and far for the other")
    disturbed = trials_above(results, "others_busy", OTHERS_MAX)
    if disturbed:
        busy, where = max(disturbed)
        out.append(f"others used more than {OTHERS_MAX * 100:.0f} % of a core in {len(disturbed)} "
                   f"trials, at most {busy * 100:.0f} % ({where}): figures are worse than they "
                   "should be")
    stolen = trials_above(results, "stolen", STOLEN_MAX)
    if stolen:
        most, where = max(stolen)
        out.append(f"the host took more than {STOLEN_MAX * 100:.0f} % of a core away in "
                   f"{len(stolen)} trials, at most {most * 100:.0f} % ({where}): the tails of "
                   "latencies are its")
    taken = trials_above(results, "taken", TAKEN_MAX)
    if taken:
        most, where = max(taken)
        out.append(f"others had more than {TAKEN_MAX * 100:.1f} % of a core in {len(taken)} trials "
                   f"of latencies, each time that they were made, at most {most * 100:.1f} % "
                   f"({where}): the tails are theirs")
    return list(dict.fromkeys(out))
