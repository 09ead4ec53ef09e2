"""What a damaged artefact does, in a process of its own for each case: an error, wrong answers, a crash or a hang."""

import gc
import os
import random
import signal
import time

from nlpkit.errors import NlpkitError

FINE, WRONG, CLEAN, FOREIGN = range(4)
NAMES = {FINE: "unaffected", WRONG: "wrong", CLEAN: "clean error", FOREIGN: "foreign exception"}
PATIENCE = 20.0  # seconds, after which a case is a hang


def outcome(probe, expected):
    """What a probe does in a forked child: one of `NAMES`, `crash` or `hang`.

    Args:
        probe: reads the damaged files; gives what it has read.
        expected: what it gives where nothing is damaged.
    """
    gc.freeze()  # the child must not free what there is: it may have threads, which a fork leaves behind
    child = os.fork()
    if not child:
        code = FOREIGN
        try:
            code = FINE if probe() == expected else WRONG
        except NlpkitError as error:
            code = CLEAN if len(str(error).splitlines()) == 1 else FOREIGN
        except BaseException as error:
            if os.environ.get("SHOW_DAMAGE"):
                import traceback

                traceback.print_exception(error)
        finally:
            os._exit(code)
    gc.unfreeze()
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return "crash" if os.WIFSIGNALED(status) else NAMES[os.WEXITSTATUS(status)]
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hang"


def flips(path, number, seed=0):
    """Damages a file by one flipped bit, `number` times, each time another one; it is whole again at the end."""
    whole = path.read_bytes()
    chance = random.Random(f"{path.name} {seed}")
    try:
        for _ in range(number):
            changed = bytearray(whole)
            place = chance.randrange(len(whole))
            changed[place] ^= 1 << chance.randrange(8)
            path.write_bytes(changed)
            yield f"{path.name} byte {place}"
    finally:
        path.write_bytes(whole)


def cuts(path, number, seed=0):
    """Damages a file by cutting it, `number` times; it is whole again at the end."""
    whole = path.read_bytes()
    chance = random.Random(f"{path.name} {seed}")
    try:
        for _ in range(number):
            place = chance.randrange(len(whole))
            path.write_bytes(whole[:place])
            yield f"{path.name} cut at {place}"
    finally:
        path.write_bytes(whole)
