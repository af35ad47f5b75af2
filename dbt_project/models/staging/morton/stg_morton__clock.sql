select cast(as_of_at as timestamp) as as_of_at, cast(close_after_days as integer) as close_after_days
from {{ source("morton", "clock") }}
