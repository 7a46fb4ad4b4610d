"""Agreement: does what flows to a verb come from its subject, or from a noun of the other number?"""
