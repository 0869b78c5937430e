"""Several processes at one evaluation, as `torchrun` or `accelerate launch` start them: who does what, and waiting.

It knows the launcher's environment variables and nothing of what is evaluated. torch is loaded for more than one only.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta

from think2seg.errors import ModelError

LONGEST_WAIT = timedelta(days=7)


@dataclass(frozen=True)
class Processes:
    """rank: of this process, from 0. number: how many there are. local: the rank on this machine, for its GPU."""

    rank: int = 0
    number: int = 1
    local: int = 0

    @staticmethod
    def from_environment() -> Processes:
        """What the launcher said; one process if there was none. Joins the group, so that `wait` works.

        Raises `ModelError` for an environment that contradicts itself.
        """
        said = {key: os.environ.get(key, "") for key in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
        if not said["WORLD_SIZE"] or said["WORLD_SIZE"] == "1":
            return Processes()
        try:
            rank, number, local = (int(said[key] or 0) for key in said)
        except ValueError as error:
            raise ModelError(f"RANK, WORLD_SIZE and LOCAL_RANK must be whole numbers; they are {said}.") from error
        import torch.distributed

        if not torch.distributed.is_initialized():
            torch.distributed.init_process_group("gloo", timeout=LONGEST_WAIT)
        return Processes(rank, number, local)

    @property
    def first(self) -> bool:
        return self.rank == 0

    def device(self) -> str | None:
        """The device of this process where there are several: its own GPU, or the CPU. None leaves the choice."""
        if self.number == 1:
            return None
        import torch

        return f"cuda:{self.local}" if torch.cuda.is_available() else "cpu"

    def wait(self) -> None:
        """Until all processes are here; at once if this is the only one."""
        if self.number > 1:
            import torch.distributed

            torch.distributed.barrier()

    def leave(self) -> None:
        """Leave the group, at the end."""
        if self.number > 1:
            import torch.distributed

            torch.distributed.destroy_process_group()
