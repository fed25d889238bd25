"""What can be said on the command line, and in Locust's web page, beside Locust's own options."""

import argparse

from locust.argument_parser import LocustArgumentParser

from loadtests.payloads.mix import LENGTHS
from loadtests.phases import Plan, soak, spike, steady, steps
from loadtests.search import Search
from loadtests.slo import Slo, SloError

SHAPES = ("steady", "steps", "spike", "soak", "search")


def add(parser: LocustArgumentParser) -> None:
    """To Locust's parser."""
    what = parser.add_argument_group("What is asked")
    what.add_argument("--text-model", default="all-MiniLM-L6-v2", help="the model that texts are sent to")
    what.add_argument("--image-model", default="scenes-vit", help="the model that images are sent to")
    what.add_argument("--words", choices=list(LENGTHS), default="mixed", help="how long the texts are")
    what.add_argument("--items", type=_count, default=1, help="texts or images in a request")
    what.add_argument("--image-share", type=_share, default=0.2, help="of MixedUser's requests, those of images")
    what.add_argument("--attention-share", type=_share, default=0.1, help="of MixedUser's, those with attention")
    what.add_argument("--attention", default="rollout", help="the reduction that is asked for: one weight a token")
    what.add_argument("--encoding", choices=("base64", "float"), default="base64", help="of the vectors")
    what.add_argument("--path", default="/v1/embeddings", help="where the server answers OpenAI's embeddings")
    what.add_argument("--seed", type=int, default=0, help="same seed, same bytes")
    parser.add_argument(
        "--api-key", default="", help="sent as a bearer token", is_secret=True, env_var="LOADTEST_API_KEY"
    )
    right = parser.add_argument_group("What a right answer is")
    right.add_argument("--dimensions", type=int, default=0, help="of each vector; 0 for as of the first")
    right.add_argument("--not-unit", action="store_true", help="vectors need not have length 1")
    how = parser.add_argument_group("How much")
    how.add_argument(
        "--rate", type=_not_negative, default=0.0, help="requests a second, however slow the answers (open loop)"
    )
    how.add_argument("--arrivals", choices=("poisson", "constant"), default="poisson", help="of an open loop")
    how.add_argument("--max-in-flight", type=_count, default=2_000, help="of a process; what comes on top is not sent")
    how.add_argument("--timeout", type=_positive, default=30.0, help="seconds until a request has failed")
    how.add_argument(
        "--shape",
        choices=SHAPES,
        default="steady",
        help="over --run-time, which for search is a trial's",
    )
    how.add_argument("--warm-up", type=_not_negative, default=2.0, help="seconds before anything is measured")
    how.add_argument("--parts", type=_count, default=6, help="steps of steps, parts of soak")
    how.add_argument("--times", type=_positive, default=4.0, help="how much higher the spike is")
    end = parser.add_argument_group("What comes of it")
    end.add_argument("--slo", type=_slo, default="", help="p99=50ms,fail=0: exit code 1 where it does not hold")
    end.add_argument("--reports", default="reports", help="folder for report.html and CSV files; '' for none")


def plan(options: argparse.Namespace) -> Plan:
    """What is to be done. Raises ValueError where that takes an end that is not given."""
    level = float(options.rate or options.num_users or 1)
    seconds = float(options.run_time) if options.run_time else None
    if options.shape == "steady":
        return steady(level, seconds)
    if seconds is None:
        raise ValueError(f"--shape {options.shape} wants --run-time")
    if options.shape == "search":
        if not Slo.parse(options.slo).objectives or not options.rate:
            raise ValueError("--shape search wants --slo, to hold, and --rate, to begin with")
        return Search(level, seconds, Slo.parse(options.slo))
    if options.shape == "spike":
        return spike(level, seconds, options.times)
    return (steps if options.shape == "steps" else soak)(level, seconds, options.parts)


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError("a share is from 0 to 1")
    return share


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it must be at least 1")
    return number


def _not_negative(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError("it must not be less than 0")
    return number


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError("it must be more than 0")
    return number


def _slo(text: str) -> str:
    try:
        Slo.parse(text)
    except SloError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text
