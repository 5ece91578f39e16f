"""The variables that `anel up` hands to its nodes."""

from anel.cli.node_process import MALLOC, variables_for_nodes


def test_what_would_give_all_nodes_one_address_is_left_out() -> None:
    given = {"PATH": "/bin", "ANEL_LISTEN_RESP": "127.0.0.1:1", "ANEL_LIMITS_X": "1"}
    handed = variables_for_nodes(given)
    assert handed["PATH"] == "/bin"
    assert handed["ANEL_LIMITS_X"] == "1"
    assert "ANEL_LISTEN_RESP" not in handed


def test_memory_is_given_back_unless_the_user_chose_otherwise() -> None:
    assert variables_for_nodes({}) == MALLOC
    assert variables_for_nodes({"MALLOC_ARENA_MAX": "4"})["MALLOC_ARENA_MAX"] == "4"
