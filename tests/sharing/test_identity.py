"""Which backends are one and the same, whatever gateways call them."""

from headway.sharing.identity import shared_name


def test_the_address_counts() -> None:
    same = ["http://gpu:8000/v1", "http://gpu:8000", "http://GPU:8000/v1/"]
    same += ["http://gpu.:8000/v1", "http://gpu:8000//v1"]
    assert {shared_name(url) for url in same} == {"gpu:8000/v1"}
    assert shared_name("https://gpu/v1") == "gpu:443/v1"
    assert shared_name("http://gpu:8001/v1") != shared_name("http://gpu:8000/v1")


def test_this_machine_s_own_addresses_are_no_other_machine_s() -> None:
    assert shared_name("http://127.0.0.1:8000").endswith("/127.0.0.1:8000/v1")
    assert shared_name("http://127.0.0.1:8000") != "127.0.0.1:8000/v1"


def test_this_machine_has_one_name_for_itself() -> None:
    same = ["http://127.0.0.1:8000", "http://localhost:8000/v1", "http://[::1]:8000"]
    assert len({shared_name(url) for url in same}) == 1
    assert shared_name("http://127.0.0.2:8000") != shared_name("http://127.0.0.1:8000")
