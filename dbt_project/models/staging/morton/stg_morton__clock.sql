select cast(as_of_at as timestamp) as as_of_at from {{ source("morton", "clock") }}
