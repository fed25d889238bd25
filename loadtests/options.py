"""Options on the command line and in Locust's web page, in addition to Locust's own."""

import argparse

from locust.argument_parser import LocustArgumentParser

from loadtests.deprecated_options import add_renamed
from loadtests.payloads.workload import TEXT_LENGTHS
from loadtests.phases import LoadPlan, soak, spike, steady, steps
from loadtests.search import MaxRateSearch
from loadtests.slo import Slo, SloError

SHAPES = ("steady", "steps", "spike", "soak", "search")


def add_arguments(parser: LocustArgumentParser) -> None:
    """Add the options to Locust's parser."""
    workload = parser.add_argument_group("Workload")
    workload.add_argument("--text-model", default="all-MiniLM-L6-v2", help="model for text inputs")
    workload.add_argument("--image-model", default="scenes-vit", help="model for image inputs")
    add_renamed(
        workload, "--text-length", "--words", choices=list(TEXT_LENGTHS), default="mixed", help="length of the texts"
    )
    add_renamed(workload, "--inputs-per-request", "--items", type=_count, default=1, help="inputs per request")
    workload.add_argument(
        "--image-share", type=_share, default=0.2, help="share of MixedUser's requests that are images"
    )
    workload.add_argument(
        "--attention-share", type=_share, default=0.1, help="share of MixedUser's requests with attention"
    )
    workload.add_argument("--attention", default="rollout", help="attention reduction to request: one weight per token")
    workload.add_argument(
        "--encoding", choices=("base64", "float"), default="base64", help="encoding of the embeddings"
    )
    workload.add_argument("--path", default="/v1/embeddings", help="path of the OpenAI embeddings endpoint")
    workload.add_argument("--seed", type=int, default=0, help="random seed: the same seed sends the same bytes")
    parser.add_argument(
        "--api-key", default="", help="sent as a bearer token", is_secret=True, env_var="LOADTEST_API_KEY"
    )
    validation = parser.add_argument_group("Response validation")
    validation.add_argument(
        "--dimensions", type=int, default=0, help="expected embedding dimensions; 0 takes those of the first response"
    )
    add_renamed(
        validation, "--allow-unnormalized", "--not-unit", action="store_true",
        help="accept embeddings that are not L2-normalized",
    )  # fmt: skip
    load = parser.add_argument_group("Load")
    load.add_argument("--rate", type=_not_negative, default=0.0, help="offered rate in requests per second (open loop)")
    load.add_argument(
        "--arrivals", choices=("poisson", "constant"), default="poisson", help="arrival process of the open loop"
    )
    load.add_argument(
        "--max-in-flight", type=_count, default=2_000, help="requests in flight per process; further ones are dropped"
    )
    load.add_argument("--timeout", type=_positive, default=30.0, help="request timeout in seconds")
    load.add_argument(
        "--shape",
        choices=SHAPES,
        default="steady",
        help="load shape over --run-time; for search, --run-time is one trial",
    )
    load.add_argument("--warm-up", type=_not_negative, default=2.0, help="warm-up in seconds, not measured")
    add_renamed(load, "--steps", "--parts", type=_count, default=6, help="number of steps (steps) or parts (soak)")
    add_renamed(
        load, "--spike-factor", "--times", type=_positive, default=4.0,
        help="spike load as a multiple of the normal load",
    )  # fmt: skip
    output = parser.add_argument_group("Output")
    output.add_argument("--slo", type=_slo, default="", help="p99=50ms,fail=0: exit code 1 if violated")
    output.add_argument(
        "--reports", default="reports", help="output folder for report.html and CSV files; '' disables them"
    )


def build_plan(options: argparse.Namespace) -> LoadPlan:
    """Build the load plan. Raises ValueError if the options lack what its shape requires."""
    level = float(options.rate or options.num_users or 1)
    seconds = float(options.run_time) if options.run_time else None
    if options.shape == "steady":
        return steady(level, seconds)
    if seconds is None:
        raise ValueError(f"--shape {options.shape} requires --run-time")
    if options.shape == "search":
        if not Slo.parse(options.slo).objectives or not options.rate:
            raise ValueError("--shape search requires --slo and --rate (the first rate to try)")
        return MaxRateSearch(level, seconds, Slo.parse(options.slo))
    if options.shape == "spike":
        return spike(level, seconds, options.spike_factor)
    return (steps if options.shape == "steps" else soak)(level, seconds, options.steps)


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError("must be from 0 to 1")
    return share


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _not_negative(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError("must not be less than 0")
    return number


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError("must be greater than 0")
    return number


def _slo(text: str) -> str:
    try:
        Slo.parse(text)
    except SloError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text
