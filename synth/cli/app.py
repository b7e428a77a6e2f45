"""The commands. Each one says what it takes, and leaves the work to a module that is imported when it is called."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="synth",
    help="A factory for terminal-agent training data: nothing is believed, everything is executed.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)

Config = Annotated[Path | None, typer.Option("--config", help="Settings file; ./synth.toml when there is one.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
RunArgument = Annotated[Path, typer.Argument(help="The run's folder.")]


@app.command()
def generate(
    domain: Annotated[list[str], typer.Option(help="Domain, or several (again or with commas), or `all`.")],
    n: Annotated[int, typer.Option("--n", min=1, help="Accepted trajectories wanted.")],
    run: Annotated[Path | None, typer.Option(help="Run folder; runs/<domain> by default.")] = None,
    max_candidates: Annotated[int | None, typer.Option(help="Draws that may be tried; 4 x n by default.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the draws.")] = None,
    policy: Annotated[str | None, typer.Option(help="litecoder, verified, everything, or a policy file.")] = None,
    repeats: Annotated[int | None, typer.Option(help="Rollouts of each task by each teacher.")] = None,
    max_cost: Annotated[float | None, typer.Option(help="Stop when the known spending reaches this, in US$.")] = None,
    in_flight: Annotated[int | None, typer.Option(help="Candidates worked on at once.")] = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Make accepted trajectories and write their rows. The same command again goes on where it stopped."""
    from synth.cli.generate import generate as work

    flags = {
        "seed": seed,
        "policy": policy,
        "repeats": repeats,
        "max_cost_usd": max_cost,
        "in_flight": in_flight,
    }
    return work(domain, n, run, max_candidates, flags, config, json)


@app.command()
def status(
    run: RunArgument,
    diversity: Annotated[bool, typer.Option("--diversity", help="Also how far each task is from its nearest.")] = False,
    json: Json = False,
) -> int:
    """Show how a run stands: the funnel by stage, balance, tokens, money. May be asked while it works."""
    from synth.cli.status import status as work

    return work(run, diversity, json)


@app.command()
def export(
    run: RunArgument,
    out: Annotated[Path, typer.Option(help="Folder for the export.")],
    policy: Annotated[str, typer.Option(help="litecoder, verified, everything, or a policy file.")] = "verified",
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            help="messages, sharegpt, prompt-completion, preference, world-model, harbor, atif, or `all`; again or "
            "with commas. messages,sharegpt by default.",
        ),
    ] = None,
    held_out: Annotated[float, typer.Option(help="Share of the task families held out, whole.")] = 0.0,
    against: Annotated[
        list[Path] | None, typer.Option(help="Another export, step file or Harbor folder, for the report on overlap.")
    ] = None,
    tokenizer: Annotated[str | None, typer.Option(help="Student whose tokenizer and template the card names.")] = None,
    thinking: Annotated[
        str | None, typer.Option(help="In its history: kept, stripped (the default) or off altogether.")
    ] = None,
    license: Annotated[str | None, typer.Option(help="Licence of the rows, by the hub's name for it.")] = None,
    push: Annotated[
        str | None, typer.Option(help="Dataset on the hub to upload to; without a token a dry run.")
    ] = None,
    json: Json = False,
) -> int:
    """Write a run's rows again: chosen by another policy, in other formats, split, compared, uploaded."""
    from synth.cli.export import Options
    from synth.cli.export import export as work

    options = Options(formats or (), held_out, against or (), tokenizer, thinking, license, push)
    return work(run, out, policy, options, json)


replay = typer.Typer(help="Students against recorded steps.", no_args_is_help=True)
app.add_typer(replay, name="replay")


@replay.command("build")
def replay_build(
    sources: Annotated[list[Path], typer.Argument(help="Runs, exports, or files of messages or sharegpt rows.")],
    out: Annotated[Path, typer.Option(help="JSONL of steps; what is known of the set comes beside it.")],
    without: Annotated[
        list[Path] | None, typer.Option(help="Likewise: what a student was trained on. Its tasks are left out.")
    ] = None,
    json: Json = False,
) -> int:
    """Make a fixed, hashed set of steps from trajectories. What cannot be scored against is left out and counted."""
    from synth.cli.replay import build as work

    return work(sources, out, without or [], json)


@replay.command("run")
def replay_run(
    steps: Annotated[Path, typer.Option(help="JSONL of steps.")],
    model: Annotated[str, typer.Option(help="A folder or a model of the hub; with --endpoint, its name there.")],
    out: Annotated[Path, typer.Option(help="Folder of the result.")],
    endpoint: Annotated[str | None, typer.Option(help="OpenAI-compatible server, up to /v1, instead of vLLM.")] = None,
    api_key_env: Annotated[str | None, typer.Option(help="Environment variable with the server's key.")] = None,
    tokenizer: Annotated[
        str | None, typer.Option(help="Where the chat template is, if not with the model; see docs/replay.md.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The student's name in tables; the model's by default.")] = None,
    thinking: Annotated[
        str | None, typer.Option(help="kept, stripped (default, or as it was trained) or off, in the history.")
    ] = None,
    fallback: Annotated[str, typer.Option(help="auto, chatml, gemma or raw, for a model without a template.")] = "auto",
    max_tokens: Annotated[int, typer.Option(min=1, help="Of an answer.")] = 1024,
    max_model_len: Annotated[int | None, typer.Option(min=2, help="Prompt and answer; the model's own.")] = None,
    dtype: Annotated[str | None, typer.Option(help="Of vLLM; auto by default.")] = None,
    tp: Annotated[int | None, typer.Option(min=1, help="GPUs that share the model; 1 by default.")] = None,
    structured: Annotated[bool, typer.Option(help="Hold answers to the action's JSON schema.")] = False,
    concurrency: Annotated[int, typer.Option(min=1, help="Trajectories asked at once over an endpoint.")] = 8,
    student_python: Annotated[Path | None, typer.Option(help="Python with vLLM; that of .venv-student.")] = None,
    allow_mismatch: Annotated[bool, typer.Option(help="Ask a checkpoint otherwise than it was trained.")] = False,
    json: Json = False,
) -> int:
    """Ask a student every step and score its answers. The same command again goes on where it stopped."""
    from synth.cli.replay import Options
    from synth.cli.replay import run as work

    options = Options(
        model=model,
        endpoint=endpoint,
        api_key_env=api_key_env,
        tokenizer=tokenizer,
        name=name,
        thinking=thinking,
        fallback=fallback,
        max_tokens=max_tokens,
        max_model_len=max_model_len,
        dtype=dtype,
        tp=tp,
        structured=structured,
        concurrency=concurrency,
        student_python=student_python,
        allow_mismatch=allow_mismatch,
    )
    return work(steps, out, options, json)


@replay.command("score")
def replay_score(
    steps: Annotated[Path, typer.Option(help="JSONL of steps.")],
    predictions: Annotated[Path, typer.Option(help="JSONL with task_id, step_idx and text for each step.")],
    json: Json = False,
) -> int:
    """Score predictions made elsewhere, by the published rules."""
    from synth.cli.replay import score as work

    return work(steps, predictions, json)


@replay.command("equivalence")
def replay_equivalence(
    steps: Annotated[Path, typer.Option(help="JSONL of steps, with their messages.")],
    result: Annotated[Path, typer.Option(help="Folder of a replay result over these steps.")],
    tasks: Annotated[list[Path], typer.Option(help="Folder of the steps' tasks, or a run; may be given again.")],
    limit: Annotated[int | None, typer.Option(min=1, help="Execute a sample of this many steps.")] = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Execute answers in containers brought to their step: do they leave the end state that the teacher left?"""
    from synth.cli.equivalence import equivalence as work

    return work(steps, result, tasks, limit, config, json)


taxonomy = typer.Typer(help="What there is to draw from: domains, topics, axes.", no_args_is_help=True)
app.add_typer(taxonomy, name="taxonomy")


@taxonomy.command("show")
def taxonomy_show(
    domain: Annotated[str | None, typer.Argument(help="One domain, in full; all in short by default.")] = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Show the domains and their topics."""
    from synth.cli.taxonomy import show as work

    return work(domain, config, json)


@taxonomy.command("check")
def taxonomy_check(
    files: Annotated[list[Path] | None, typer.Argument(help="YAML files of further domains.")] = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Check the catalog, with the domain files of the settings and of the command line."""
    from synth.cli.taxonomy import check as work

    return work(files or [], config, json)


judge = typer.Typer(help="The judges: how good they are.", no_args_is_help=True)
app.add_typer(judge, name="judge")


@judge.command("calibrate")
def judge_calibrate(
    gold: Annotated[Path | None, typer.Option(help="Folder of gold tasks (*.yaml); the shipped set.")] = None,
    judges: Annotated[
        list[str] | None, typer.Option("--judge", help="upstream:model, a role, or sim; again for more.")
    ] = None,
    runs: Annotated[
        list[Path] | None, typer.Option(help="A past run: its verdicts against what came of the tasks; again for more.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File for the figures, as JSON.")] = None,
    in_flight: Annotated[int | None, typer.Option(help="Tasks judged at once.")] = None,
    max_cost: Annotated[float | None, typer.Option(help="Stop when the known spending reaches this, in US$.")] = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Hold judges against gold tasks: precision, recall, agreement; and past verdicts against what was executed."""
    from synth.cli.judge import calibration as work

    flags = {"in_flight": in_flight, "max_cost_usd": max_cost}
    return work(gold, judges or [], runs or [], out, flags, config, json)


@app.command()
def sft(
    data: Annotated[Path, typer.Option(help="File of rows, an export's folder, or a run.")],
    model: Annotated[
        str, typer.Option(help="The student before training: a folder, or a name on the Hugging Face hub.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the trained model.")],
    preset: Annotated[
        str | None, typer.Option(help="A published recipe: litecoder, terminal-gemma, terminal-qwen, terminal-lora.")
    ] = None,
    epochs: Annotated[float | None, typer.Option(help="Times that each example is seen.")] = None,
    max_steps: Annotated[int | None, typer.Option(help="End after so many steps.")] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.")] = None,
    batch: Annotated[int | None, typer.Option(help="Examples of one step.")] = None,
    max_length: Annotated[int | None, typer.Option(help="Tokens of an example at most.")] = None,
    lora: Annotated[int | None, typer.Option(min=0, help="Rank of LoRA adapters; 0 trains the whole model.")] = None,
    packing: Annotated[bool | None, typer.Option(help="Several examples in one sequence.")] = None,
    thinking: Annotated[str | None, typer.Option(help="kept, stripped (from the history) or off.")] = None,
    fallback: Annotated[
        str | None, typer.Option(help="For a model without a chat template: auto, chatml, gemma or raw.")
    ] = None,
    student_python: Annotated[Path | None, typer.Option(help="Interpreter with TRL; .venv-student by default.")] = None,
    config: Annotated[Path | None, typer.Option("--config", help="YAML file of these settings and the rest.")] = None,
    allow_mismatch: Annotated[bool, typer.Option(help="Take rows that were exported for another template.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Prepare and show what is learnt; no training.")] = False,
    json: Json = False,
) -> int:
    """Train a student on the answers of rows. The same command again goes on where it stopped."""
    from synth.cli.sft import sft as work

    flags = {
        "epochs": epochs,
        "max_steps": max_steps,
        "lr": lr,
        "batch": batch,
        "max_length": max_length,
        "packing": packing,
        "thinking": thinking,
        "fallback": fallback,
    }
    return work(data, model, out, preset, config, flags, lora, student_python, allow_mismatch, dry_run, json)


@app.command("eval")
def evaluate(
    tasks: Annotated[list[Path], typer.Option(help="Folder of Harbor tasks, a task, or a run; may be given again.")],
    model: Annotated[str, typer.Option(help="upstream:model of synth.toml, a role (teacher, student), or sim.")],
    endpoint: Annotated[str | None, typer.Option(help="Server of the model, up to /v1, without synth.toml.")] = None,
    api_key_env: Annotated[str | None, typer.Option(help="NAME of the variable with the endpoint's key.")] = None,
    k: Annotated[int, typer.Option("--k", min=1, help="pass@k is estimated besides pass@1.")] = 1,
    repeats: Annotated[int | None, typer.Option(min=1, help="Trials of each task; 4, or k if larger.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the results; evals/<tasks>-<model> by default.")] = None,
    in_flight: Annotated[int | None, typer.Option(help="Trials worked on at once.")] = None,
    max_cost: Annotated[float | None, typer.Option(help="Stop when the known spending reaches this, in US$.")] = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Let a model work in tasks, several times each: pass@1 and pass@k. The same command again goes on."""
    from synth.cli.eval import evaluation as work

    flags = {"in_flight": in_flight, "max_cost_usd": max_cost}
    return work(tasks, model, endpoint, api_key_env, k, repeats, out, flags, config, json)


@app.command()
def compare(
    results: Annotated[list[str], typer.Argument(help="Folders of replay results; `teacher` is the reference itself.")],
    against_eval: Annotated[
        list[str] | None, typer.Option(help="Result of `synth eval` of one of them: FILE or NAME=FILE; again for more.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for comparison.json, leaderboard and model cards.")] = None,
    common: Annotated[bool, typer.Option(help="Compare over the steps that all share.")] = False,
    json: Json = False,
) -> int:
    """Compare students over one step set: table, paired differences, leaderboard, model cards."""
    from synth.cli.compare import comparison as work

    return work(results, against_eval or [], out, common, json)


@app.command()
def verify(
    path: Annotated[Path, typer.Argument(help="Folder of Harbor tasks, a task, or a run; anybody's.")],
    repeats: Annotated[int, typer.Option(min=1, help="How often each reference solution must pass.")] = 2,
    map: Annotated[
        list[str] | None,
        typer.Option("--map", help="FROM=TO: another base image, such as python:*=synth-base/coding; again for more."),
    ] = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Execute tasks and name what is wrong with them. They are not written to."""
    from synth.cli.verify import verify as work

    return work(path, repeats, map or [], config, json)


@app.command()
def doctor(
    domain: Annotated[list[str] | None, typer.Option(help="Domains whose base image is looked for.")] = None,
    run: Annotated[Path, typer.Option(help="Where runs will be written.")] = Path("runs"),
    config: Config = None,
    json: Json = False,
) -> int:
    """Check everything that a run needs, and say how to mend what is missing."""
    from synth.cli.doctor import doctor as work

    return work(domain or ["version_control"], run, config, json)


@app.command()
def clean(json: Json = False) -> int:
    """Remove containers, images and networks that dead runs left. What a living run uses stays."""
    from synth.cli.clean import clean as work

    return work(json)


@app.command()
def sim(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8100,
    seed: Annotated[int, typer.Option(min=0, help="Shifts every scenario that it draws.")] = 0,
    config: Config = None,
) -> int:
    """Serve the built-in model alone, as an OpenAI-compatible server on 127.0.0.1."""
    from synth.cli.sim import serve as work

    return work(port, seed, config)


@app.command()
def config(config: Config = None, json: Json = False) -> int:
    """Show the settings as they are put together from flags, SYNTH_* variables, synth.toml and defaults."""
    from synth.cli.config import show as work

    return work(config, json)
