import struct

import pytest

from skerry.core.errors import BadImage
from skerry.transfer.inspection import Inspection, inspection_for

GIB = 1 << 30


def qcow2(*, backing: int = 0, features: int = 0, size: int = GIB) -> bytes:
    header = struct.pack(">4sIQIIQ", b"QFI\xfb", 3, backing, 0, 16, size)
    return (header.ljust(72, b"\0") + struct.pack(">Q", features)).ljust(512, b"\0") + b"\0" * 200_000


def partitioned(boot_flag: int = 0x80) -> bytes:
    entry = struct.pack("<B3BB3BII", boot_flag, 0, 1, 0, 0x83, 0, 0, 0, 2048, 4096)
    return b"\0" * 446 + entry.ljust(64, b"\0") + b"\x55\xaa" + b"\0" * 300_000


def iso(system_area: bytes = b"") -> bytes:
    descriptor = bytearray(2048)
    descriptor[:6] = b"\x01CD001"
    descriptor[80:84] = struct.pack("<L", 500)
    descriptor[128:130] = struct.pack("<H", 2048)
    return system_area[: 32 << 10].ljust(32 << 10, b"\0") + bytes(descriptor) + b"\0" * 300_000


def vmdk(kind: str = "monolithicSparse", extent: str = "disk.vmdk") -> bytes:
    text = f'# Disk DescriptorFile\nversion=1\ncreateType="{kind}"\nRW 8192 SPARSE "{extent}"\n'.encode()
    header = struct.pack("<4sIIQQQQIQQ", b"KDMV", 1, 3, 8192, 128, 1, 20, 512, 0, 0)
    return header.ljust(512, b"\0") + text.ljust(20 * 512, b"\0") + b"\0" * 300_000


def vhdx(size: int) -> bytes:
    guid = struct.Struct("<IHH8s")
    meta_region = guid.pack(0x8B7CA206, 0x4790, 0x4B9A, bytes.fromhex("B8FE575F050F886E"))
    disk_size = guid.pack(0x2FA54224, 0xCD1B, 0x4876, bytes.fromhex("B2115DBED83BF4B8"))
    image = bytearray(3 << 20)
    image[:8] = b"vhdxfile"
    image[192 << 10 : (192 << 10) + 16] = struct.pack("<IIII", 0x69676572, 0, 1, 0)
    entry = (192 << 10) + 16
    image[entry : entry + 32] = meta_region + struct.pack("<QII", 2 << 20, 1 << 20, 1)
    image[2 << 20 : (2 << 20) + 12] = struct.pack("<8sHH", b"metadata", 0, 1)
    item = (2 << 20) + 32
    image[item : item + 28] = disk_size + struct.pack("<III", 64 << 10, 8, 0)
    at = (2 << 20) + (64 << 10)
    image[at : at + 8] = struct.pack("<Q", size)
    return bytes(image)


def judged(data: bytes, disk_format: str, *, piece: int = 1 << 18) -> int | None:
    inspection = Inspection(disk_format)
    for start in range(0, len(data), piece):
        inspection.feed(data[start : start + piece])
    return inspection.conclude(len(data))


def test_a_qcow2_tells_its_virtual_size() -> None:
    assert judged(qcow2(size=5 * GIB), "qcow2") == 5 * GIB


def test_what_claims_to_be_qcow2_and_is_not_is_refused() -> None:
    with pytest.raises(BadImage, match="Image disk_format qcow2 does not match stream data raw"):
        judged(b"\0" * 300_000, "qcow2")


def test_a_qcow2_with_a_backing_file_is_refused_with_the_reason() -> None:
    with pytest.raises(BadImage, match=r"failed safety checks .*backing file"):
        judged(qcow2(backing=512), "qcow2")


def test_a_qcow2_with_a_data_file_is_refused_with_the_reason() -> None:
    with pytest.raises(BadImage, match=r"failed safety checks .*data_file"):
        judged(qcow2(features=4), "qcow2")


def test_a_dangerous_qcow2_is_refused_even_when_it_is_called_raw() -> None:
    with pytest.raises(BadImage, match="failed safety checks"):
        judged(qcow2(backing=512), "raw")


def test_a_harmless_qcow2_called_raw_has_the_size_of_its_file() -> None:
    assert judged(qcow2(), "raw") == len(qcow2())


def test_raw_bytes_have_the_size_of_their_file_though_only_the_first_are_looked_at() -> None:
    assert judged(b"\1" * 5_000_000, "raw") == 5_000_000


@pytest.mark.parametrize("size", [1, 63, 512, 70_000])
def test_small_raw_images_are_images_too(size: int) -> None:
    assert judged(b"\1" * size, "raw") == size


def test_a_partitioned_disk_is_raw() -> None:
    assert judged(partitioned(), "raw") == len(partitioned())


def test_a_bad_partition_table_is_refused_but_not_in_a_kernel() -> None:
    with pytest.raises(BadImage, match="mbr"):
        judged(partitioned(boot_flag=7), "raw")
    assert judged(partitioned(boot_flag=7), "aki") is None


def test_a_kernel_is_let_through_uninspected() -> None:
    assert judged(b"\1" * 100_000, "aki") is None


def test_an_iso_that_boots_from_a_disk_counts_as_iso() -> None:
    assert judged(iso(partitioned()), "iso") == 500 * 2048


def test_other_mixtures_of_formats_are_refused() -> None:
    with pytest.raises(BadImage, match="Multiple formats detected: iso, qcow2"):
        judged(iso(qcow2()), "iso")


def test_a_vmdk_that_names_a_path_is_refused() -> None:
    assert judged(vmdk(), "vmdk") == 8192 * 512
    with pytest.raises(BadImage, match="extent filenames"):
        judged(vmdk(extent="/etc/passwd"), "vmdk")
    with pytest.raises(BadImage, match="Unsupported subformat"):
        judged(vmdk(kind="monolithicFlat"), "vmdk")


@pytest.mark.parametrize("piece", [999, 65_536, 262_144, 4_000_000])
def test_a_vhdx_tells_its_size_from_far_inside_however_the_bytes_are_cut(piece: int) -> None:
    assert judged(vhdx(7 * GIB), "vhdx", piece=piece) == 7 * GIB


@pytest.mark.parametrize("piece", [1, 20, 100])
def test_a_vmdk_descriptor_cannot_be_hidden_by_sending_it_in_crumbs(piece: int) -> None:
    text = b'# Disk DescriptorFile\ncreateType="monolithicFlat"\nRW 1 FLAT "/etc/passwd" 0\n'
    with pytest.raises(BadImage):
        judged(text, "raw", piece=piece)


def test_a_truncated_header_is_no_crash() -> None:
    with pytest.raises(BadImage):
        judged(vhdx(GIB)[:300_000], "vhdx")
    with pytest.raises(BadImage):
        judged(vmdk()[:600], "vmdk")


def test_only_bare_images_are_inspected() -> None:
    assert inspection_for("qcow2", "ovf") is None
    assert inspection_for(None, "bare") is None
    assert inspection_for("qcow2", "bare") is not None
