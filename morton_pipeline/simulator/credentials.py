"""The credentials the stand-ins accept. They open nothing else anywhere.

Belongs here: made-up secrets, once for the stand-ins and the demo book. Does not: a real one, ever.
"""

from dataclasses import dataclass

ACCEPTED = {
    "NINJAONE_CLIENT_ID": "demo-ninjaone-client",
    "NINJAONE_CLIENT_SECRET": "demo-ninjaone-secret",
    "M365_CLIENT_ID": "00000000-0000-4000-8000-00000000d3a0",
    "M365_CLIENT_SECRET": "demo-m365-secret",
    "HUNTRESS_API_KEY": "hk_demo",
    "HUNTRESS_API_SECRET": "hs_demo_secret",
    "DATTO_RMM_API_KEY": "demo-datto-rmm-key",
    "DATTO_RMM_API_SECRET": "demo-datto-rmm-secret",
    "PAX8_CLIENT_ID": "demo-pax8-client",
    "PAX8_CLIENT_SECRET": "demo-pax8-secret",
    "SENTINELONE_API_TOKEN": "demo-sentinelone-token",
    "SENTINELONE_WEST_API_TOKEN": "demo-sentinelone-west-token",
    "DATTO_BCDR_PUBLIC_KEY": "demo-datto-bcdr-public",
    "DATTO_BCDR_SECRET_KEY": "demo-datto-bcdr-secret",
    "ACRONIS_CLIENT_ID": "demo-acronis-client",
    "ACRONIS_CLIENT_SECRET": "demo-acronis-secret",
    "COVE_PARTNER": "Northgate Managed IT",
    "COVE_USERNAME": "demo-cove-user",
    "COVE_PASSWORD": "demo-cove-password",
    "VEEAM_SPC_API_KEY": "demo-veeam-key",
    "VAULTDESK_API_KEY": "demo-vaultdesk-key",
    "QUICKBOOKS_CLIENT_ID": "demo-quickbooks-client",
    "QUICKBOOKS_CLIENT_SECRET": "demo-quickbooks-secret",
    "QUICKBOOKS_REFRESH_TOKEN": "demo-quickbooks-refresh-1",
    "XERO_CLIENT_ID": "demo-xero-client",
    "XERO_CLIENT_SECRET": "demo-xero-secret",
    "XERO_REFRESH_TOKEN": "demo-xero-refresh-1",
    "SAGE_CLIENT_ID": "demo-sage-client",
    "SAGE_CLIENT_SECRET": "demo-sage-secret",
    "SAGE_REFRESH_TOKEN": "demo-sage-refresh-1",
}
"""By the environment variable the demo book names."""

WEB_CONNECTOR_WORD = "demo-desktop-password"
"""What the demo's Web Connector signs in with; its book has the hash."""

REALM_ID = "9130350000000001"
"""The QuickBooks company of the demo book."""


@dataclass(frozen=True)
class OAuthClient:
    """An id and its secret."""

    id: str
    secret: str


NINJAONE = OAuthClient(ACCEPTED["NINJAONE_CLIENT_ID"], ACCEPTED["NINJAONE_CLIENT_SECRET"])
MICROSOFT = OAuthClient(ACCEPTED["M365_CLIENT_ID"], ACCEPTED["M365_CLIENT_SECRET"])
HUNTRESS = OAuthClient(ACCEPTED["HUNTRESS_API_KEY"], ACCEPTED["HUNTRESS_API_SECRET"])
QUICKBOOKS = OAuthClient(ACCEPTED["QUICKBOOKS_CLIENT_ID"], ACCEPTED["QUICKBOOKS_CLIENT_SECRET"])
