"""`nlpkit serve`."""

from typing import Annotated

import typer

from nlpkit.cli import options as opt
from nlpkit.cli.localization.catalogue import translate
from nlpkit.cli.train.options import flat
from nlpkit.errors import UsageError
from nlpkit.serve.limits import Limits


@flat
def serve(
    *,
    task: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Task to serve; may be repeated (default: all; kgqa needs --graph, search --index).",
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="TASK=NAME|DIR",
            help="Model of a task in place of the embedded one; may be repeated.",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on; 0.0.0.0 is every address of this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 is any free port.")] = 8000,
    graph: Annotated[str | None, typer.Option(metavar="G.kg", help="Graph folder for kgqa.")] = None,
    index: Annotated[str | None, typer.Option(metavar="IDX", help="Index folder for search.")] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            envvar="NLPKIT_API_KEY",
            help="Key that requests must send as `Authorization: Bearer KEY`; better in the variable than on the "
            "command line, where other users can see it.",
        ),
    ] = None,
    limits: Limits = Limits(),
    device: opt.DeviceName = "auto",
    dtype: opt.Dtype = "auto",
    runtime: opt.Runtime = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not log requests on stderr.")] = False,
) -> None:
    """Serve the models over HTTP, with a page to try them at /.

    POST /v1/TASK takes {"text": …} or {"texts": […]} and returns the records that `nlpkit TASK` writes. /v1/embeddings
    works with the clients of OpenAI, and Label Studio can use the service as a machine learning backend. Texts of
    simultaneous requests are processed together. SIGTERM and Ctrl-C end the service when it has answered what it has
    accepted.

    \b
        nlpkit serve --task ner --task embed --port 8000
    """
    from nlpkit.cli.error_handling import message
    from nlpkit.serve.server import run
    from nlpkit.serve.services import load_services

    models: dict[str, str] = {}
    for given in model or []:
        name, separator, value = given.partition("=")
        if not separator or not value:
            raise UsageError(f"--model {given}: is not TASK=NAME, such as ner=my-model")
        models[name] = value
    run(
        lambda: load_services(
            task or [], models, device=device, dtype=dtype, runtime=runtime, graph=graph, index=index
        ),
        limits,
        host=host,
        port=port,
        api_key=api_key,
        translate=translate,
        announce=message,
        log_requests=not quiet,
    )
