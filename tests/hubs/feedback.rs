//! Feedback and the errors of a message (`notification-hubs.md` 2.7, 2.8), served under signed addresses.

use loadtest::gateways::Script;
use loadtest::gateways::script::Act;

use crate::atom::entry;
use crate::client::Client;
use crate::world::{World, apple, apple_token};

const APPLE: (&str, &str) = ("ServiceBusNotification-Format", "apple");
const ALERT: &str = r#"{"aps":{"alert":"Hi"}}"#;

/// The path and query of an address of this service.
fn below<'a>(world: &World, address: &'a str) -> &'a str {
    address.strip_prefix(&format!("https://{}", world.address())).unwrap_or_else(|| panic!("{address}"))
}

#[tokio::test]
async fn handles_that_were_given_up_are_listed_under_a_signed_address() {
    let dead = Script::new()
        .token(&apple_token(1), Act::refuse(410, "Unregistered"))
        .token(&apple_token(9), Act::refuse(400, "BadDeviceToken"));
    let world = World::with(dead, &[]).await;
    for device in 0..3 {
        world.install(&format!("dev-{device}"), &apple(device)).await;
    }
    let id = world.sent("", &[APPLE], ALERT).await;
    let counters = world.finished(&id).await["counters"].clone();
    assert_eq!((&counters["dropped"], &counters["delivered"]), (&1.into(), &2.into()), "{counters}");
    let direct = [APPLE, ("ServiceBusNotification-DeviceHandle", &apple_token(9))];
    let direct = world.sent("&direct", &direct, ALERT).await;
    world.finished(&direct).await;

    let told = world.full.get("/hub1/feedbackcontainer?api-version=2020-06").await.expect(200);
    let address = told.text();
    let path = below(&world, address);
    // Whoever has the address needs nothing else, and nobody has it who changes it.
    let nobody = Client::new(world.address(), None);
    let records = nobody.get(path).await.expect(200);
    let records = records.text();
    assert_eq!(records.matches("<?xml").count(), 2, "{records}");
    for part in [
        "<NotificationSystemError>ExpiredChannel</NotificationSystemError><Platform>apple</Platform>",
        &format!(
            "<PnsHandle>{}</PnsHandle><RegistrationId>0-1-0</RegistrationId><InstallationId>dev-1</InstallationId>\
             <NotificationId>{id}<",
            apple_token(1)
        ),
        &format!(
            "<NotificationSystemError>BadChannel</NotificationSystemError><Platform>apple</Platform><PnsHandle>{}<",
            apple_token(9)
        ),
    ] {
        assert!(records.contains(part), "{part} in {records}");
    }
    let list = nobody.get(&format!("{path}&restype=container&comp=list")).await.expect(200);
    let day = list.text().split("<Name>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let (container, query) = path.split_once('?').unwrap();
    assert_eq!(nobody.get(&format!("{container}/{day}?{query}")).await.expect(200).text().matches("<?xml").count(), 2);
    assert_eq!(nobody.get(&format!("{container}/01012000?{query}")).await.expect(200).text(), "");
    nobody.get(container).await.expect(401);
    nobody.get(&path.replace("hub1", "hub2")).await.expect(401);
    nobody.get(&path.replace("se=", "se=9")).await.expect(401);
}

#[tokio::test]
async fn the_errors_of_a_message_are_found_from_its_telemetry() {
    let dead = Script::new().token(&apple_token(1), Act::refuse(400, "BadDeviceToken"));
    let world = World::with(dead, &[]).await;
    world.apples(3).await;
    let id = world.sent("", &[APPLE], ALERT).await;
    world.finished(&id).await;
    let details = world.details(&id).await;
    let address =
        details.split("<PnsErrorDetailsUri>").nth(1).unwrap().split('<').next().unwrap().replace("&amp;", "&");
    let errors = Client::new(world.address(), None).get(below(&world, &address)).await.expect(200);
    let errors = errors.text();
    assert_eq!(errors.matches("<?xml").count(), 1, "{errors}");
    assert!(errors.contains("<NotificationSystemError>BadChannel<") && errors.contains(">dev-1<"), "{errors}");
    // Nothing failed: there is no address.
    let good = world.sent("", &[APPLE, ("ServiceBusNotification-Tags", "even")], ALERT).await;
    world.finished(&good).await;
    assert!(!world.details(&good).await.contains("PnsErrorDetailsUri"));
}

#[tokio::test]
async fn a_registration_is_told_by_its_own_id() {
    let dead = Script::new().token(&apple_token(1), Act::refuse(400, "BadDeviceToken"));
    let world = World::with(dead, &[]).await;
    let document = entry("Apple", &format!("<DeviceToken>{}</DeviceToken>", apple_token(1)));
    world.listen.send("PUT", "/hub1/registrations/1-2-3", &[], document.as_bytes()).await.expect(200);
    let id = world.sent("", &[APPLE], ALERT).await;
    world.finished(&id).await;
    let told = world.full.get("/hub1/feedbackcontainer?api-version=2020-06").await.expect(200);
    let records = Client::new(world.address(), None).get(below(&world, told.text())).await.expect(200);
    let handle = apple_token(1).to_uppercase();
    let part = format!(
        "<NotificationSystemError>BadChannel</NotificationSystemError><Platform>apple</Platform><PnsHandle>{handle}\
         </PnsHandle><RegistrationId>1-2-3</RegistrationId><NotificationId>{id}<"
    );
    assert!(records.text().contains(&part), "{}", records.text());
}
