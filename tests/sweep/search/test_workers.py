"""Who lives: a process of this machine by its number and start, others by their beats."""

import os
import subprocess
import sys

from trainer.sweep.search.workers import DEAD_AFTER_SECONDS, PREFIX, Liveness, Worker


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def test_this_process_lives_and_a_later_one_of_its_number_is_another():
    own = Worker(lambda name, beats: None).name
    assert Liveness().is_alive(own, {})
    place, pid, started = own.split(":")
    assert pid == str(os.getpid())
    assert not Liveness().is_alive(f"{place}:{pid}:{int(started) + 1}", {})
    assert not Liveness().is_alive(f"{place}:4194305:{started}", {})
    assert not Liveness().is_alive("", {})


def test_a_killed_process_is_dead_before_its_parent_has_fetched_it():
    show = "from trainer.sweep.search.workers import Worker as W; print(W(print).name, flush=True);"
    child = subprocess.Popen(
        [sys.executable, "-c", f"{show} input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    name = child.stdout.readline().strip()
    assert Liveness().is_alive(name, {})
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not Liveness().is_alive(name, {})
    child.communicate()


def test_a_worker_elsewhere_lives_while_it_beats():
    clock = Clock()
    liveness, name = Liveness(clock), "elsewhere-1-2:77:12"
    beats = {PREFIX + name: 5}
    assert liveness.is_alive(name, beats)
    clock.now += DEAD_AFTER_SECONDS - 1
    assert liveness.is_alive(name, beats)
    beats[PREFIX + name] = 6
    assert liveness.is_alive(name, beats)
    clock.now += DEAD_AFTER_SECONDS - 1
    assert liveness.is_alive(name, beats)
    clock.now += 1
    assert not liveness.is_alive(name, beats)


def test_beats_are_stored_now_and_then_and_differ():
    clock, stored = Clock(), []
    worker = Worker(lambda name, beats: stored.append((name, beats)), "me", clock)
    for _ in range(100):
        worker.beat()
        clock.now += 1.0
    assert 5 <= len(stored) <= 10
    assert len(set(stored)) == len(stored)
    assert {name for name, _ in stored} == {PREFIX + "me"}
