"""The DuckDB file: what was fetched, as records and as history. One writer; everyone else reads the published mart.

`lock` says who may open it, `tables` what is in it, `load` what an extraction changes, `journal` is where every change
goes first, and `publish` makes the copy people read. Nothing here knows an API, a contract or Dagster.
"""
