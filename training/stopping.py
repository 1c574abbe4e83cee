"""Being asked to stop: by a signal that leaves time to save."""

import os
import signal

from training.distributed import any_of

EXIT_STOPPED = 85  # exit status of a training that was asked to stop and can be resumed; slurm scripts requeue on it


class StopRequest:
    """Set by SIGTERM, SIGUSR1 (slurm's warning before the time limit) or SIGHUP: the training is saved, and ends.

    SIGHUP comes when the terminal is closed, unless the run was started by nohup, which stays as it is.
    """

    def __init__(self) -> None:
        self.requested = False
        self._terminals = [number for number in (1, 2) if os.isatty(number)]
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._note)

    def heard_by_any(self) -> bool:
        """Whether a process of the training was asked to stop: to be called by all of them at each step."""
        return any_of(self.requested)

    def _note(self, number: int, frame: object) -> None:
        self.requested = True
        if number == signal.SIGHUP:  # whatever is still said would end the run: there is nobody to hear it
            nowhere = os.open(os.devnull, os.O_WRONLY)
            for terminal in self._terminals:
                os.dup2(nowhere, terminal)
            os.close(nowhere)
