"""A real Jupyter kernel, and what its cells put out, as a notebook's file has it."""

from __future__ import annotations

from contextlib import contextmanager

from jupyter_client import KernelManager

_READY_SECONDS = 60


class Kernel:
    """A kernel and a client that is connected to it.

    Attributes:
        manager: of the kernel's process.
        client: connected to it.
    """

    def __init__(self, manager, client):
        self.manager = manager
        self.client = client

    def run(self, code, seconds=120):
        """Run a cell; its outputs, each as it is in the end."""
        outputs = Outputs()
        reply = self.client.execute_interactive(code, output_hook=outputs.take, timeout=seconds)
        outputs.status = reply["content"]["status"]
        return outputs

    def begin(self, code):
        """Have a cell run, whose outputs nobody waits for yet; its id."""
        # Or the kernel may refuse the next cell, as one that was waiting for this one to end well.
        return self.client.execute(code, stop_on_error=False)

    def finish(self, asked, seconds=60):
        """Wait for a cell that has begun; its outputs."""
        outputs = Outputs()
        reply = self.client.get_shell_msg(timeout=seconds)
        assert reply["parent_header"]["msg_id"] == asked
        outputs.status = reply["content"]["status"]
        while True:
            message = self.client.get_iopub_msg(timeout=seconds)
            if message["parent_header"].get("msg_id") != asked:
                continue
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return outputs
            outputs.take(message)


class Outputs:
    """Outputs of a cell.

    Attributes:
        status: ``ok`` or ``error``.
        list: outputs as nbformat 4 has them.
        drawings: contents of each display that has changed in place, the last of which is its end.
    """

    def __init__(self):
        self.status = ""
        self.list = []
        self.drawings = {}
        self._displays = {}

    def take(self, message):
        """Note a message of the kernel."""
        kind, content = message["msg_type"], message["content"]
        match kind:
            case "stream":
                last = self.list[-1] if self.list else {}
                if last.get("output_type") == "stream" and last["name"] == content["name"]:
                    last["text"] += content["text"]
                else:
                    self.list.append({"output_type": "stream", **content})
            case "display_data" | "execute_result":
                count = {"execution_count": content["execution_count"]} if kind == "execute_result" else {}
                output = {"output_type": kind, "data": content["data"], "metadata": {}, **count}
                self.list.append(output)
                self._drawn(content, output)
            case "update_display_data":
                self._drawn(content, self._displays[content["transient"]["display_id"]])
            case "error":
                self.list.append({"output_type": "error", **content})

    def _drawn(self, content, output):
        name = content.get("transient", {}).get("display_id")
        if name is not None:
            output["data"] = content["data"]
            self._displays[name] = output
            self.drawings.setdefault(name, []).append(content["data"])

    @property
    def text(self):
        """What was printed on the standard output."""
        return "".join(
            each["text"] for each in self.list if each["output_type"] == "stream" and each["name"] == "stdout"
        )

    @property
    def errors(self):
        """What the cell raised, if anything."""
        return [each for each in self.list if each["output_type"] == "error"]


@contextmanager
def started_kernel(connection_file, **surroundings):
    """A kernel for as long as the block lasts.

    Args:
        connection_file: path of the file that says how it is reached.
        surroundings: of its process: ``cwd`` and ``env``.
    """
    manager = KernelManager(connection_file=str(connection_file))
    manager.start_kernel(**surroundings)
    client = manager.blocking_client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=_READY_SECONDS)
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
