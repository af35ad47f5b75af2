{{ declared_records("rest") }}
