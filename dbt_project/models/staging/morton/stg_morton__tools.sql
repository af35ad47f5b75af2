select tool, title from {{ source("morton", "tools") }}
