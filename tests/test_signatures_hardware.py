"""What the library makes of the words of GPUs, their drivers and the hosts' hardware."""

# ruff: noqa: E501  (a line of a log stays one line)
from __future__ import annotations

import pytest
from l4fast.library import Library, load, told
from l4fast.signature import Resolved

LAST_XID = 176  # the last one of NVIDIA's header nverror.h
EXCLUDE = "restart_excluding"


@pytest.fixture(scope="module")
def packaged() -> Library:
    return load()


def _resolved(lib: Library, line: str) -> tuple[str, Resolved]:
    meaning, _ = told(lib.match([line])[0])
    assert meaning is not None, line
    return meaning.id, lib.resolve(meaning, meaning.read(line))


def test_each_xid_is_decided_by_one_case(packaged: Library) -> None:
    codes = [code for case in packaged.signatures["xid"].when for _, wanted in case.values for code in wanted]

    assert sorted(codes, key=int) == [str(code) for code in range(1, LAST_XID + 1)]


@pytest.mark.parametrize("code", range(1, LAST_XID + 1))
def test_each_xid_has_a_title_of_its_own_and_advice_where_it_stops_a_job(
    packaged: Library, code: int
) -> None:
    name, meant = _resolved(packaged, f"NVRM: Xid (PCI:0000:9b:00): {code}, pid=7, name=python3, some words")

    assert name == "xid"
    assert meant.title != packaged.signatures["xid"].title
    assert meant.role in ("root", "consequence", "context")
    assert meant.advice


def test_an_xid_that_is_newer_than_the_catalogue_is_a_failure(packaged: Library) -> None:
    _, meant = _resolved(packaged, "NVRM: Xid (PCI:0000:9b:00): 999, something new")

    assert (meant.role, meant.title, meant.action) == ("root", packaged.signatures["xid"].title, None)


XID = "NVRM: Xid (PCI:0000:9b:00)"
SWITCH = "nvidia-nvswitch0: SXid (PCI:0000:86:00.0)"
DRIVER = "kernel: [ 12.5] NVRM: GPU 0000:9b:00.0:"
AMD = "amdgpu 0000:c1:00.0: amdgpu:"


@pytest.mark.parametrize(
    ("line", "name", "role", "category", "action"),
    [
        (
            f"{XID}: 13, pid=7, name=python3, Graphics SM Warp Exception on (GPC 0)",
            "xid",
            "root",
            "framework",
            "restart",
        ),
        (f"{XID}: 43, pid=7, name=python3, Ch 00000010", "xid", "consequence", "framework", "restart"),
        (f"{XID}: 45, pid=7, name=python3, Ch 00000010", "xid", "consequence", "framework", "restart"),
        (f"{XID}: 48, pid=7, name=python3, DBE (double bit error)", "xid", "root", "hardware.gpu", EXCLUDE),
        (f"{XID}: 63, Row Remapper: New row marked", "xid", "consequence", "hardware.gpu", None),
        (f"{XID}: 64, Row Remapper failure", "xid", "root", "hardware.gpu", EXCLUDE),
        (f"{XID}: 92, High single-bit ECC error rate", "xid", "context", "hardware.gpu", None),
        (
            f"{XID}: 119, pid=7, name=python3, Timeout after 6s of waiting for RPC response from GPU0 GSP!",
            "xid",
            "root",
            "hardware.gpu",
            EXCLUDE,
        ),
        (f"{XID}: 121, C2C0 link error", "xid", "context", "hardware.gpu", None),
        (
            f"{XID}: 149, NETIR_LINK_EVT Fatal XC0 i0 Link 08 (0x004505c6 0x00000000)",
            "xid-nvlink5",
            "root",
            "hardware.gpu",
            EXCLUDE,
        ),
        (
            f"{XID}: 149, NETIR_BER_EVENT Nonfatal XC0 i0 Link 08 (0x00000026 0x1)",
            "xid-nvlink5",
            "context",
            "hardware.gpu",
            None,
        ),
        (
            f"{XID}: 145, RLW_REMAP Nonfatal XC1 i0 Link -1 (0x00000082 0x4)",
            "xid-nvlink5",
            "root",
            "framework",
            "restart",
        ),
        (
            f"{XID}: 145, RLW_REMAP Fatal XC1 i0 Link -1 (0x00000082 0x40)",
            "xid-nvlink5",
            "root",
            "hardware.gpu",
            EXCLUDE,
        ),
        (
            f"{XID}: 154, GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)",
            "xid-recovery-action",
            "consequence",
            "hardware.gpu",
            EXCLUDE,
        ),
        (
            f"{XID}: 154, GPU recovery action changed from 0x2 (Node Reboot Required) to 0x0 (None)",
            "xid-recovery-action",
            "context",
            "hardware.gpu",
            None,
        ),
        (f"{SWITCH}: 20034, Fatal, Link 30 LTSSM Fault Up", "sxid", "root", "hardware.gpu", EXCLUDE),
        (f"{SWITCH}: 19049, Non-fatal, Link 30 NCISOC ECC limit", "sxid", "context", "hardware.gpu", None),
        (
            f"{SWITCH}: 12028, Non-fatal, Link 32 egress non-posted PRIV error (First)",
            "sxid",
            "root",
            "hardware.gpu",
            "restart",
        ),
        (f"{SWITCH}: 20001, Correctable, Link 04 TX Replay Error", "sxid", "context", "hardware.gpu", None),
        (
            f"{SWITCH}: 20034, Data {{0x50610002, 0x10004000, 0x00000000}}",
            "sxid-detail",
            "context",
            None,
            None,
        ),
        (f"{DRIVER} GPU has fallen off the bus.", "xid-off-bus", "root", "hardware.gpu", EXCLUDE),
        (
            f"{DRIVER} RmInitAdapter failed! (0x62:0xffff:2477)",
            "nvrm-init-failed",
            "root",
            "hardware.gpu",
            EXCLUDE,
        ),
        ("DCGM_FR_CLOCKS_EVENT_THERMAL gpu 3", "dcgm-error", "consequence", "hardware.gpu", None),
        ("DCGM_FR_FALLEN_OFF_BUS gpu 3", "dcgm-error", "root", "hardware.gpu", EXCLUDE),
        ("DCGM_FR_TEST_SKIPPED", "dcgm-error", "benign", "hardware.gpu", None),
        (
            f"{AMD} 3 correctable hardware errors detected in umc block",
            "amdgpu-ras-note",
            "context",
            None,
            None,
        ),
        (
            f"{AMD} socket: 0, die: 0, 2 new uncorrectable hardware errors detected in umc block",
            "amdgpu-ras-uncorrectable",
            "root",
            "hardware.gpu",
            EXCLUDE,
        ),
        (
            f"{AMD} 0 uncorrectable hardware errors detected in gfx block",
            "amdgpu-ras-uncorrectable",
            "context",
            "hardware.gpu",
            EXCLUDE,
        ),
        (f"{AMD} GPU reset end with ret = 0", "amdgpu-reset", "context", "hardware.gpu", EXCLUDE),
        (
            "Memory access fault by GPU node-2 (Agent handle: 0x55) on address 0x7f. Reason: DRAM ECC failure.",
            "rocm-memory-fault",
            "root",
            "hardware.gpu",
            EXCLUDE,
        ),
        (
            "Memory access fault by GPU node-2 (Agent handle: 0x55) on address 0x7f. Reason: Unknown.",
            "rocm-memory-fault",
            "root",
            "framework",
            None,
        ),
        ("mce: [Hardware Error]: Machine check events logged", "kernel-mce-note", "context", None, None),
        (
            "mce: [Hardware Error]: CPU 3: Machine Check Exception: 5 Bank 7: be00000000800400",
            "kernel-mce",
            "root",
            "hardware.host",
            EXCLUDE,
        ),
        ("{1}[Hardware Error]: event severity: corrected", "kernel-mce-note", "context", None, None),
        ("{1}[Hardware Error]: event severity: fatal", "kernel-mce", "root", "hardware.host", EXCLUDE),
        (
            "Memory failure: 0x12ab34: recovery action for clean LRU page: Recovered",
            "memory-failure",
            "context",
            "hardware.memory",
            EXCLUDE,
        ),
        (
            "nvme 0000:34:00.0: PCIe Bus Error: severity=Uncorrectable (Non-Fatal), type=Data Link Layer",
            "pcie-uncorrected",
            "root",
            "hardware.host",
            "restart",
        ),
        (
            "pcieport 0000:34:00.0: PCIe Bus Error: severity=Correctable, type=Data Link Layer",
            "pcie-corrected",
            "context",
            None,
            None,
        ),
        (
            "RuntimeError: CUDA error: CUBLAS_STATUS_ARCH_MISMATCH when calling `f`",
            "cublas-failed",
            "root",
            "platform",
            None,
        ),
        (
            "torch.AcceleratorError: CUDA error: Invalid access of peer GPU memory over nvlink or a hardware error",
            "cuda-nvlink",
            "root",
            "hardware.gpu",
            "restart",
        ),
        (
            "CUDA initialization: Unexpected error from cudaGetDeviceCount(). Error 802: system not yet initialized",
            "cuda-system-not-ready",
            "root",
            "platform",
            None,
        ),
    ],
)
def test_what_hardware_says_and_what_it_means(
    packaged: Library, line: str, name: str, role: str, category: str | None, action: str | None
) -> None:
    found, meant = _resolved(packaged, line)

    assert (found, meant.role, meant.category, meant.action) == (name, role, category, action)


@pytest.mark.parametrize(
    "line",
    [
        "NVRM: loading NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024",
        "nvidia-nvlink: Nvlink Core is being initialized, major device number 510",
        "NMI watchdog: Enabled. Permanently consumes one hw-PMU counter.",
        "EDAC MC0: Giving out device to module skx_edac controller Skylake Socket#0 IMC#0",
        "AMD-Vi: AMD IOMMUv2 loaded and initialized",
        "DMAR: IOMMU enabled",
        "ACPI: Power Button [PWRB]",
        "ACPI: APEI: Can not request [mem 0x7f5c0000-0x7f5c0fff] for APEI ERST registers",
        "amdgpu 0000:c1:00.0: amdgpu: SMU is initialized successfully!",
        "[drm] amdgpu kernel modesetting enabled.",
        "nvidia-peermem: probe done",
        "NCCL version 2.21.5+cuda12.4",
        "loaded file with no error",
        "            HW Thermal Slowdown           : Not Active",
        "        Remapping Failure Occurred        : No",
    ],
)
def test_what_healthy_machines_say_is_no_failure(packaged: Library, line: str) -> None:
    meaning, _ = told(packaged.match([line])[0])

    assert meaning is None or meaning.role in ("benign", "context", "marker")
