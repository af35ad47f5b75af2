select extraction_id, connection_id, vendor, endpoint, tenant_id, record_key, column_name, check_name, value
from {{ source("morton", "quarantine") }}
