"""Paper ballots: printed for those who vote on paper, and read back as a proposal for people (DESIGN.md D37).

What is printed and where is plain data (`contents`, `codes`, `layout`); `printing` and `slips` make PDF files of it;
`reading` finds printed pages in photos and scans, in confined processes (`workshop`). It knows no network, no ledger
and no votes: what a machine has read is shown to people, who key in what they see themselves.
"""
