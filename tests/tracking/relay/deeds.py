"""Objectives that log. Imported by evaluators; MLflow is imported by the deed, as users do it."""

from __future__ import annotations

import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sparkopt.wire.report_kinds import ReportKind
from sparkopt.worker.reports import ReportingObjective

MIB = 2**20
PIECES = bytes(range(256)) * 4096 * 5 + b"end"


def nothing(_):
    return "mlflow" in sys.modules


def plain(_):
    import mlflow

    mlflow.log_params({"depth": 3, "name": "x"})
    mlflow.log_param("alone", 1.5)
    mlflow.log_metric("accuracy", 0.5)
    mlflow.log_metrics({"rate": 2}, step=3)
    run_id = mlflow.active_run().info.run_id
    mlflow.MlflowClient().log_metric(run_id, "accuracy", 0.75, timestamp=1_700_000_000_123, step=3)
    mlflow.set_tags({"colour": "red", "shape": "round"})
    mlflow.set_tag("colour", "blue")
    mlflow.delete_tag("shape")
    run = mlflow.active_run()
    data = mlflow.get_run(run.info.run_id).data
    return {
        "run": run.info.run_id,
        "last": mlflow.last_active_run().info.run_id,
        "params": data.params,
        "metrics": data.metrics,
        "colour": data.tags["colour"],
        "history": [
            (m.step, m.value) for m in mlflow.MlflowClient().get_metric_history(run.info.run_id, "accuracy")
        ],
        "experiment": mlflow.get_experiment(run.info.experiment_id).name,
        "named": mlflow.set_experiment("the search").experiment_id == run.info.experiment_id,
        "artifact_uri": mlflow.get_artifact_uri("x"),
    }


def files(directory):
    import mlflow

    top = Path(directory, "many")
    (top / "below").mkdir(parents=True)
    (top / "one.txt").write_text("one")
    (top / "below" / "two.txt").write_text("two")
    large = Path(directory, "large.bin")
    large.write_bytes(PIECES)
    mlflow.log_text("some text", "texts/a.txt")
    mlflow.log_dict({"a": [1, 2]}, "d.json")
    mlflow.log_table({"x": [1, 2], "y": ["a", "b"]}, "t.json")
    mlflow.log_table({"x": [3], "y": ["c"]}, "t.json")
    mlflow.log_artifact(large, "big")
    mlflow.log_artifacts(top, "dir")
    mlflow.log_artifact(top)
    run_id = mlflow.active_run().info.run_id
    back = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="big/large.bin")
    whole = Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="dir"))
    return {
        "large": Path(back).read_bytes() == PIECES,
        "text": mlflow.artifacts.load_text(mlflow.get_artifact_uri("texts/a.txt")),
        "listed": [each.path for each in mlflow.MlflowClient().list_artifacts(run_id, "dir")],
        "whole": sorted(path.relative_to(whole).as_posix() for path in whole.rglob("*.txt")),
    }


def pictures(_):
    import matplotlib.figure
    import mlflow
    import numpy

    figure = matplotlib.figure.Figure()
    figure.add_subplot().plot([1, 2])
    mlflow.log_figure(figure, "f.png")
    mlflow.log_image(numpy.zeros((4, 4, 3), dtype="uint8"), "i.png")


def images_of_steps(_):
    import mlflow
    import PIL.Image

    mlflow.log_image(PIL.Image.new("RGB", (4, 4)), key="steps", step=2)


def model(_):
    import mlflow
    from sklearn.linear_model import LinearRegression

    fitted = LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0])
    info = mlflow.sklearn.log_model(fitted, name="model", pip_requirements=["scikit-learn"])
    again = mlflow.sklearn.load_model(info.model_uri)
    by_run = mlflow.sklearn.load_model(f"runs:/{mlflow.active_run().info.run_id}/model")
    mlflow.log_metric("of the model", 1.0, model_id=info.model_id)
    mlflow.log_metric("of its step", 2.0)
    mlflow.log_metric("of another step", 3.0, step=1)
    mlflow.set_logged_model_tags(info.model_id, {"kind": "linear"})
    mlflow.log_model_params({"p": 1}, info.model_id)
    return {
        "model": info.model_id,
        "predictions": [float(each.predict([[3.0]])[0]) for each in (again, by_run)],
        "found": [each.model_id for each in mlflow.search_logged_models(output_format="list")],
        "last": mlflow.last_logged_model().model_id,
    }


def model_of_run(_):
    """A model as it was before MLflow 3: files of the run, and a word in a tag."""
    import mlflow
    from sklearn.linear_model import LinearRegression

    fitted = LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0])
    info = mlflow.sklearn.log_model(fitted, artifact_path="model", pip_requirements=["scikit-learn"])
    again = mlflow.sklearn.load_model(info.model_uri)
    return float(again.predict([[3.0]])[0])


def autolog(_):
    import mlflow
    import numpy
    from sklearn.linear_model import LogisticRegression

    mlflow.sklearn.autolog(log_models=False, log_datasets=True)
    LogisticRegression(C=0.5).fit(numpy.array([[0.0], [1.0], [2.0], [3.0]]), numpy.array([0, 0, 1, 1]))
    return os.getpid()


def grid(_):
    import mlflow
    import numpy
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV

    mlflow.sklearn.autolog(log_models=False)
    search = GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=2)
    search.fit(numpy.array([[0.0], [1.0], [2.0], [3.0]]), numpy.array([0, 1, 2, 3]))
    mlflow.sklearn.autolog(disable=True)  # the next trial of the process logs its model itself


def nested(_):
    import mlflow
    from mlflow import start_run

    outer = mlflow.active_run().info.run_id
    with mlflow.start_run() as again:
        mlflow.log_param("inside", 1)
        with start_run(nested=True, run_name="child") as child:
            mlflow.log_metric("below", 1)
            mlflow.log_text("x", "c.txt")
            with start_run(nested=True) as grandchild:
                mlflow.log_param("deep", "yes")
    mlflow.log_param("outside", 2)
    mlflow.end_run()
    mlflow.log_param("after the end", 3)
    try:
        with mlflow.start_run(nested=True):
            raise KeyError("x")
    except KeyError:
        pass
    client = mlflow.MlflowClient()
    own = client.create_run(mlflow.active_run().info.experiment_id, run_name="by the client")
    client.log_param(own.info.run_id, "p", 1)
    mlflow.start_run(nested=True, run_name="left open")
    return outer, again.info.run_id, child.info.run_id, grandchild.info.run_id


def threads(_):
    import mlflow

    def log(number):
        mlflow.log_metric(f"m{number}", number)
        mlflow.log_param(f"p{number}", number)
        return mlflow.active_run().info.run_id

    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(log, range(8)))
    outlives = threading.Event()
    thread = threading.Thread(target=lambda: (outlives.wait(), mlflow.log_metric("late", 1)))
    thread.start()
    outlives.set()
    thread.join()
    return found == {mlflow.active_run().info.run_id}


def threads_that_start_runs(_):
    import mlflow

    def log(number):
        with mlflow.start_run() as run:
            mlflow.log_param(f"p{number}", number)
        return run.info.run_id

    with ThreadPoolExecutor(4) as pool:
        return set(pool.map(log, range(8))) == {mlflow.active_run().info.run_id}


def asynchronous(_):
    import mlflow

    for step in range(20):
        mlflow.log_metric("m", step, step=step, synchronous=False)
    mlflow.log_params({"a": 1, "b": 2}, synchronous=False).wait()
    mlflow.set_tag("t", "v", synchronous=False)


def asynchronous_by_setting(_):
    import mlflow

    mlflow.config.enable_async_logging(True)
    mlflow.log_metric("later", 1)
    mlflow.config.enable_async_logging(False)


def forked(_):
    """Log, fork a child that logs and returns, and log again; the child's errors, and how it ended."""
    import mlflow

    mlflow.log_param("before", 1)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        for call in (
            lambda: mlflow.log_metric("loss", -12345.0),
            lambda: mlflow.set_tag("child", "yes"),
            lambda: mlflow.log_text("text", "child.txt"),
        ):
            os.write(writing, f"{saying(call)}\n".encode())
        return -12345.0
    os.close(writing)
    with os.fdopen(reading) as file:
        said = file.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    mlflow.log_metric("loss", 1.0)
    return said, code


def thousand(_):
    import mlflow

    mlflow.active_run().info.run_id  # noqa: B018 - what is measured is what logging costs
    began = time.perf_counter()
    for step in range(1000):
        mlflow.log_metric("m", step, step=step)
    calls = time.perf_counter() - began
    mlflow.get_run(mlflow.active_run().info.run_id)
    return calls, time.perf_counter() - began


def inputs(_):
    import mlflow
    import pandas

    dataset = mlflow.data.from_pandas(pandas.DataFrame({"x": [1, 2]}), name="points")
    mlflow.log_input(dataset, context="training")


class LogsAndReports(ReportingObjective):
    """Does a deed, and reports, as an objective with hyperopt's Ctrl does."""

    def run(self, argument, reporter):
        import mlflow

        mlflow.log_param("before", 1)
        reporter.report(ReportKind.CHECKPOINT, {"loss": 1})
        mlflow.log_param("after", 2)
        return mlflow.active_run().info.run_id


def saying(call):
    """The type and the text of what a call raises."""
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing was raised"


def give_feedback(mlflow):
    from mlflow.entities.assessment import AssessmentSource

    mlflow.log_feedback(trace_id="t", name="n", value=1, source=AssessmentSource("HUMAN", "ann"))


def refusals(other):
    import mlflow

    client = mlflow.MlflowClient()
    mlflow.log_param("p", 1)
    run_id = mlflow.active_run().info.run_id
    calls = {
        "registry": lambda: mlflow.register_model("models:/x", "name"),
        "registry client": lambda: client.search_registered_models(),
        "traces": lambda: mlflow.search_traces(["0"]),
        "traced": lambda: mlflow.trace(lambda: 1)(),
        "span": lambda: mlflow.start_span("s").__enter__(),
        "feedback": lambda: give_feedback(mlflow),
        "runs": lambda: mlflow.search_runs(),
        "experiment": lambda: mlflow.set_experiment("another"),
        "new experiment": lambda: mlflow.create_experiment("another"),
        "experiment tag": lambda: mlflow.set_experiment_tag("a", 1),
        "param": lambda: mlflow.log_param("p", 2),
        "another's run": lambda: client.get_run(other),
        "another's artifact": lambda: client.log_text(other, "x", "x.txt"),
        "another's metric": lambda: (client.log_metric(other, "m", 1), mlflow.get_run(run_id)),
        "up": lambda: mlflow.log_text("x", "../x.txt"),
        "key": lambda: mlflow.log_metric("m[1]", 2),
        "no file": lambda: mlflow.artifacts.load_text(mlflow.get_artifact_uri("none.txt")),
        "server": lambda: client._tracking_client.store.get_host_creds(),
    }
    lacking = {
        "traces": "search_traces",
        "traced": "trace",
        "span": "start_span",
        "feedback": "log_feedback",
    }
    return {
        name: saying(call)
        for name, call in calls.items()
        if name not in lacking or hasattr(mlflow, lacking[name])
    }


def look(_):
    """What a trial finds, that the one before must not have left."""
    import mlflow

    found = {
        "run": mlflow.active_run().info.run_id,
        "last": mlflow.last_active_run().info.run_id,
        "model": mlflow.last_logged_model() if hasattr(mlflow, "last_logged_model") else None,
        "uri": mlflow.get_tracking_uri(),
        "pid": os.getpid(),
    }
    mlflow.log_param("seen", 1)
    return found


def leave(directory):
    import mlflow

    mlflow.start_run(nested=True)
    mlflow.set_experiment("the search")
    mlflow.log_param("before", 1)
    mlflow.set_tracking_uri(Path(directory, "elsewhere").as_uri())
    os.environ["MLFLOW_RUN_ID"] = "0" * 32


def fail(_):
    import mlflow

    mlflow.log_param("before", 1)
    mlflow.start_run(nested=True)
    raise ValueError("as it were")


DEEDS = {
    each.__name__: each
    for each in (
        nothing,
        plain,
        files,
        pictures,
        images_of_steps,
        model,
        model_of_run,
        autolog,
        grid,
        nested,
        threads,
        threads_that_start_runs,
        asynchronous,
        asynchronous_by_setting,
        forked,
        thousand,
        inputs,
        refusals,
        look,
        leave,
        fail,
    )
}


def do(argument):
    """The objective: a deed, and its argument."""
    name, what = argument
    return DEEDS[name](what)
