"""Is a task sound? Any folder of Harbor tasks, ours or anybody's, is executed and what is wrong with it is named."""
