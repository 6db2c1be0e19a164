import threading

import pytest

from trainer.background import Background


def test_jobs_are_done_in_order():
    done = []
    background = Background("test", queue_length=2)
    for k in range(10):
        background.submit(lambda k=k: done.append(k))
    background.close()
    assert done == list(range(10))


def test_what_a_job_raises_is_raised_by_the_next_call_and_the_rest_is_dropped():
    done = []
    background = Background("test", queue_length=2)
    background.submit(lambda: 1 / 0)
    background.submit(lambda: done.append(1))
    with pytest.raises(ZeroDivisionError):
        background.wait()
    background.submit(lambda: done.append(2))
    background.close()
    assert done == [2]


def test_the_queue_is_bounded():
    background = Background("test", queue_length=3)
    release = threading.Event()
    background.submit(release.wait)
    for _ in range(3):
        background.submit(lambda: None)
    blocked = threading.Thread(target=background.submit, args=(lambda: None,))
    blocked.start()
    blocked.join(0.2)
    assert blocked.is_alive()
    release.set()
    blocked.join(10)
    assert not blocked.is_alive()
    background.close()
