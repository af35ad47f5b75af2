"""How anything is fetched: vocabulary, authentication, paging, HTTP and its errors. Nothing here knows one vendor.

Does not belong here: what a vendor is (`vendors/`), storing what was fetched (`warehouse/`), Dagster.
"""
