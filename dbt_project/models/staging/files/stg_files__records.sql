{{ declared_records("files") }}
