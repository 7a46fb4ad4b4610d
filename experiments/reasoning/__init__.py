"""Logic: do attributions find the parts of a formula that the answer really rests on, as a solver tells?"""
