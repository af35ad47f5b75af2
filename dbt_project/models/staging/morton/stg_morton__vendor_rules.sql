select vendor, endpoint, field, pattern, rule_name, reason from {{ source("morton", "vendor_rules") }}
