"""The outside world, one file each: rosters and photos that people bring, SMS, WeChat, the cache, the clock.

Nothing here knows records, rows or consensus; storage is never imported from here.
"""
