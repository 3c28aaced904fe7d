"""The databases that the fixtures hand out are what they say."""

import pytest
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.pool import NullPool


def tables(url: str) -> set[str]:
    engine = create_engine(url, poolclass=NullPool)
    return set(inspect(engine).get_table_names())


def test_a_database_is_empty(database_url: str) -> None:
    """The test that makes the tables itself starts from nothing."""
    assert tables(database_url) == set()


@pytest.mark.parametrize("attempt", ["first", "second"])
def test_an_upgraded_database_has_tables_and_no_rows_of_another_test(upgraded_url: str, attempt: str) -> None:
    """It is a copy: what one test writes, the next does not see."""
    assert {"streams", "events", "projections"} <= tables(upgraded_url)

    with create_engine(upgraded_url, poolclass=NullPool).begin() as connection:
        assert attempt
        connection.execute(text("create table left_behind (n int)"))
