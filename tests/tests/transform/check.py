"""Reads the real file set before and after with DuckDB, and compares what the transformations should have kept, changed and left out."""

import glob
import sys

import duckdb

before, after = sys.argv[1:]


def same(what, one, other):
    one, other = duckdb.sql(one).fetchall(), duckdb.sql(other).fetchall()
    assert one == other, f"{what}: {one[:5]} is not {other[:5]}"
    assert one, f"{what}: nothing to compare"
    print(f"{what}: {len(one)} rows agree")


def columns(query):
    return [(name, kind) for name, kind, *_ in duckdb.sql(f"DESCRIBE {query}").fetchall()]


flights = f"read_parquet('{after}/flights/*/*.parquet', hive_partitioning = true)"
source = f"'{before}/flights-3m.parquet'"
figures = "count(*), sum(delay), sum(distance), count(DISTINCT origin), min(date), max(date)"
same("flights", f"SELECT {figures} FROM {source}", f"SELECT {figures} FROM {flights}")
same(
    "flights by month",
    f"SELECT month(date) AS m, count(*), sum(delay), count(DISTINCT destination) FROM {source} GROUP BY m ORDER BY m",
    f"SELECT month AS m, count(*), sum(delay), count(DISTINCT dest) FROM {flights} GROUP BY m ORDER BY m",
)
same("months are the folders'", f"SELECT count(*) FROM {flights} WHERE month <> month(date)", "SELECT 0")

zips = f"read_parquet('{after}/zips/*/*.parquet', hive_partitioning = true)"
source = f"read_csv('{before}/zipcodes.csv', all_varchar = true)"
same(
    "zip codes keep their zeros",
    f"SELECT zip_code, city, state, latitude::DOUBLE FROM {source} ORDER BY ALL",
    f"SELECT zip, city, state, latitude FROM {zips} ORDER BY ALL",
)
assert ("county" not in dict(columns(f"FROM {zips}"))) and dict(columns(f"FROM {zips}"))["zip"] == "VARCHAR"

cars = f"read_csv('{after}/cars/part-00000.csv')"
source = f"read_json('{before}/cars.json')"
same(
    "cars",
    f"SELECT Name, Year::DATE, Cylinders, round(235.214583 / Miles_per_Gallon, 9) FROM {source} ORDER BY ALL",
    f"SELECT Name, Year, Cylinders, round(litres, 9) FROM {cars} ORDER BY ALL",
)

movies = f"read_json('{after}/movies/part-00000.json.zst', sample_size = -1)"
source = f"read_json('{before}/movies.json', sample_size = -1)"
figures = "count(*), count(Title), sum(\"IMDB Votes\"), sum(\"Worldwide Gross\"::BIGINT), round(sum(\"IMDB Rating\"), 6)"
same("movies", f"SELECT {figures} FROM {source}", f"SELECT {figures} FROM {movies}")

same(
    "delays by distance",
    f"SELECT distance, round(avg(delay), 9), count(*) FROM '{before}/flights-200k.json' GROUP BY distance ORDER BY distance",
    f"SELECT distance, round(delay, 9), n FROM '{after}/delays/part-00000.parquet'",
)

same(
    "unemployment, in the order of its rows",
    f"SELECT id, rate FROM read_csv('{before}/unemployment.tsv', delim = '\\t')",
    f"SELECT id, rate FROM read_parquet('{after}/jobless/*.parquet')",
)
assert len(glob.glob(f"{after}/jobless/*.parquet")) == 4
