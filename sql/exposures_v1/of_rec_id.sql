-- The answer that an id was given to, as it was logged; at: the id's own time, in microseconds since 1970.
SELECT
    user_id,
    channel,
    kind,
    variant,
    tier,
    top_k,
    families,
    exclude,
    experiment,
    arm,
    screen,
    placement,
    search_family,
    cart,
    basket_product,
    item_ids,
    item_tiers,
    item_scores,
    propensities,
    product_variant,
    offer_variant
FROM exposures FINAL
WHERE rec_id = {rec_id:String} AND toDate(event_time) = toDate(fromUnixTimestamp64Micro({at:Int64}, 'UTC'))
ORDER BY event_id
LIMIT 1
