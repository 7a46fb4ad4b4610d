"""Faithfulness: does what an attribution ranks high matter to the model, measured by hiding it?"""
