"""Which precision `auto` stands for, by what the CPU says of itself."""

import pytest
import tensorflow as tf

from trainer import precision

CPUS = {
    "vendor_id : AuthenticAMD\nflags : fpu avx512f avx512_bf16": "mixed_bfloat16",
    "vendor_id : GenuineIntel\nflags : fpu avx512f avx512_bf16 amx_bf16": "mixed_bfloat16",
    "vendor_id : GenuineIntel\nflags : fpu avx512f avx512_bf16": "float32",
    "vendor_id : AuthenticAMD\nflags : fpu avx2": "float32",
}


@pytest.mark.parametrize("text", CPUS)
def test_auto_is_bfloat16_where_a_cpu_is_faster_in_it(text, tmp_path, monkeypatch):
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(precision, "CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    assert precision.resolve("auto") == CPUS[text]


def test_auto_is_float32_where_nothing_is_known_of_the_cpu(tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "CPU_INFO", tmp_path / "none")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    assert precision.resolve("auto") == "float32"


@pytest.mark.parametrize(
    ("capability", "expected"), [((8, 0), "mixed_bfloat16"), ((7, 5), "float32")]
)
def test_auto_asks_a_gpu_for_its_compute_capability(capability, expected, monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a GPU"])
    monkeypatch.setattr(
        tf.config.experimental,
        "get_device_details",
        lambda gpu: {"compute_capability": capability},
    )
    assert precision.resolve("auto") == expected


def test_another_name_is_refused():
    with pytest.raises(ValueError, match="precision='half': choose one of"):
        precision.resolve("half")
