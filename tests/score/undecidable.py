"""The edge cases that no story planted into a mart can decide, each with the reason.

Belongs here: every number of the list that has no story in `planted/`. Where each is proved instead is what the tests
named `test_case_N_…` say.
"""

BESIDE = "it is told beside the list and makes no row of it:"
POSTING = "it is about what the accounting system does with an invoice, and is proved against its stand-ins:"
ENTRIES = "time entries are not read yet:"
RUNNING = "it is about how the system runs, not about what a mart says:"
DECIDING = "it is about how a person may answer, and whoever may not is refused before anything is recorded:"

UNDECIDABLE = {
    4: "a list that is not whole is refused before it is loaded, so that no mart ever knows of it",
    30: f"{BESIDE} what happens to a single person though no total moves is in the changes of records",
    52: f"{BESIDE} what a vendor invoices is in the margins, and comes while its month is open for ten days more",
    59: f"{POSTING} that what is sent is what was approved, whatever the count says by then",
    60: f"{DECIDING} of two at once one wins",
    61: f"{DECIDING} above the limit a second person must",
    62: f"{DECIDING} lines that changed since they were listed are left out",
    65: f"{DECIDING} what is given up names a cause, which is a task",
    66: f"{DECIDING} an approval outlives its approver",
    67: f"{POSTING} tax is its own",
    71: f"{POSTING} an invoice made by hand is found before a second one is sent",
    72: f"{POSTING} what is uncertain is looked up before anything is sent again",
    73: f"{POSTING} a locked period holds",
    74: f"{POSTING} an inactive customer is refused alone",
    75: f"{BESIDE} an invoice somebody touched is in the drift of invoices",
    77: f"{POSTING} sending a month again sends nothing",
    78: f"{ENTRIES} one without a client",
    79: f"{ENTRIES} one that is edited after it was approved",
    81: f"{ENTRIES} one that was invoiced by hand",
    82: f"{ENTRIES} one that is too old",
    83: f"{RUNNING} a credential that is about to expire warns",
    84: f"{RUNNING} what a rate limit cut short goes on in the next window",
    85: f"{RUNNING} a source is only ever read",
    86: f"{RUNNING} names stay inside, unless the contract shows them",
    87: f"{RUNNING} what is rebuilt from the journal is the same",
}
