"""The other end of Intuit's Web Connector: QuickBooks Desktop calls us, and takes its work with it request by request.

Belongs here: the session a request travels in (`session`), what is done in one (`work`), the SOAP service the Web
Connector speaks to (`soap`, `service`), and how it is introduced to us (`setup`). Does not: what QuickBooks is asked
(`accounting/quickbooks_desktop.py`, `vendors/quickbooks_desktop.py`).
"""

PORT = 8765
"""Where the Web Connector is waited for, unless a command says otherwise."""
