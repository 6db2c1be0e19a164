"""Which numbers a run computes with."""

from pathlib import Path

import keras
import tensorflow as tf

from trainer.settings import PRECISIONS

CPU_INFO = Path("/proc/cpuinfo")


def resolve(precision: str) -> str:
    """Return the Keras dtype policy for a setting.

    Args:
        precision: `float32`, `mixed_bfloat16`, `mixed_float16` (with loss scaling; slow on CPUs) or
            `auto`: bfloat16 where the hardware is faster in it (CPUs with AMX, AMD's with
            AVX512-BF16, GPUs from compute capability 8.0 on), else float32. Intel's CPUs with
            AVX512-BF16 alone, as virtual machines without AMX show them, are slower in it:
            `MiniInception` trains at 0.64 times the images a second of float32.

    Raises:
        ValueError: for another name.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision={precision!r}: choose one of {', '.join(PRECISIONS)}")
    if precision != "auto":
        return precision
    return "mixed_bfloat16" if _has_bfloat16() else "float32"


def set_policy(precision: str) -> str:
    """Make new layers compute as `resolve` says; return the policy's name."""
    policy = resolve(precision)
    keras.config.set_dtype_policy(policy)
    return policy


def enable_determinism() -> None:
    """Let TensorFlow use only operations that give the same bits every time; for the process.

    CPUs do so anyway. On GPUs convolutions become slower, and an operation without such a kernel is
    an error.
    """
    tf.config.experimental.enable_op_determinism()


def _has_bfloat16() -> bool:
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        return all(d.get("compute_capability", (0, 0)) >= (8, 0) for d in details)
    words = CPU_INFO.read_text().split() if CPU_INFO.exists() else []
    return "amx_bf16" in words or ("avx512_bf16" in words and "GenuineIntel" not in words)
