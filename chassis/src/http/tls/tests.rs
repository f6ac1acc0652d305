use super::*;
use crate::clock::{Clock as _, SystemClock};
use crate::folder::tests::scratch;
use crate::http::server::Server;
use crate::http::{Health, health_routes};
use crate::shutdown::Shutdown;
use axum::Router;
use std::net::SocketAddr;
use std::path::Path;
use tokio::net::TcpListener;

/// A server over `tls`, with one page.
async fn serve(tls: &Arc<Tls>) -> (SocketAddr, Shutdown) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, shutdown) = (listener.local_addr().unwrap(), Shutdown::manual());
    let routes = Router::new().route("/page", axum::routing::get(|| async { "a page" }));
    let server = Server::default().over(Some(Arc::clone(tls)));
    tokio::spawn(server.serve(listener, routes.merge(health_routes(Health::new())), shutdown.clone()));
    (address, shutdown)
}

fn trusting(pem: &str) -> reqwest::Client {
    crate::outbound::install_crypto();
    let trusted = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    client.tls_certs_only([trusted]).build().unwrap()
}

fn own(folder: &Path, names: &[&str]) -> Result<Tls, TlsError> {
    let names = names.iter().map(ToString::to_string).collect();
    Tls::new(Origin::Own { folder: folder.join("tls"), names }, &SystemClock::shared())
}

#[tokio::test]
async fn a_site_vouches_for_itself_over_http_2_and_goes_on_doing_so_after_a_restart() {
    let folder = scratch("tls");
    let tls = Arc::new(own(&folder, &[]).unwrap());
    let pem = tls.authority_pem().unwrap();
    let (address, shutdown) = serve(&tls).await;
    for host in ["localhost".to_owned(), address.ip().to_string()] {
        let url = format!("https://{host}:{}/page", address.port());
        let answer = trusting(&pem).get(url).send().await.unwrap();
        assert_eq!(answer.version(), http::Version::HTTP_2);
        assert_eq!(answer.text().await.unwrap(), "a page");
    }
    let told = trusting(&pem).get(format!("https://{address}/trust")).send().await.unwrap().text().await.unwrap();
    assert!(told.contains("/ca.pem") && told.contains("SHA-256"), "{told}");
    // Another site's authority vouches for nothing here.
    let other = scratch("tls");
    let stranger = own(&other, &[]).unwrap().authority_pem().unwrap();
    assert!(trusting(&stranger).get(format!("https://{address}/page")).send().await.is_err());
    shutdown.begin();
    // Whoever trusts it does so after a restart, too.
    let again = Arc::new(own(&folder, &[]).unwrap());
    assert_eq!(again.authority_pem().unwrap(), pem);
    let (address, _shutdown) = serve(&again).await;
    assert!(trusting(&pem).get(format!("https://{address}/page")).send().await.is_ok());
    // Rounded down to days, both.
    let (now_ms, day_ms) = (SystemClock.now_ms(), 24 * 3_600_000);
    let shown = Arc::clone(&again.shown.0.read().unwrap());
    let days = shown
        .cert
        .iter()
        .map(|one| (validity::good(one).unwrap().end - now_ms) / day_ms)
        .collect::<Vec<_>>();
    assert!(matches!(days[..], [178..=180, 3648..=3650]), "{days:?}");
    let key = std::fs::metadata(folder.join("tls/authority.json")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&key.permissions()) & 0o777, 0o600);
}

#[tokio::test]
async fn plain_http_is_led_to_https_and_may_ask_for_health_and_the_authority() {
    let folder = scratch("tls");
    let tls = Arc::new(own(&folder, &[]).unwrap());
    let pem = tls.authority_pem().unwrap();
    let server = Server::default().over(Some(Arc::clone(&tls)));
    let door = server.door();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(server.serve(listener, Router::new(), Shutdown::manual()));
    let client = trusting(&pem);
    let answer = client.post(format!("http://{address}/api/v1/login?x=1")).body("secret").send().await.unwrap();
    assert_eq!(answer.status(), 308);
    assert_eq!(answer.headers()["location"], format!("https://{address}/api/v1/login?x=1"));
    let answer = client.get(format!("http://{address}/ca.pem")).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), pem);
    assert_eq!(door.answers(address).await, Ok(()));
    // What a host's name may not hold leads nowhere.
    let answer = client.get(format!("http://{address}/")).header("host", "evil.example/x").send().await.unwrap();
    assert_eq!(answer.status(), 400);
}

#[tokio::test]
async fn an_authority_vouches_for_nothing_beyond_its_network_but_what_it_was_made_for() {
    let folder = scratch("tls");
    let first = own(&folder, &[]).unwrap().authority_pem().unwrap();
    assert_eq!(own(&folder, &["10.1.2.3", "printer.local"]).unwrap().authority_pem().unwrap(), first);
    // A public name: trust has to be asked for again.
    let tls = own(&folder, &["incidents.example.com"]).unwrap();
    let second = tls.authority_pem().unwrap();
    assert_ne!(second, first);
    let tls = Arc::new(tls);
    let (address, _shutdown) = serve(&tls).await;
    crate::outbound::install_crypto();
    let resolved = |pem: &str, name: &str| {
        let trusted = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
        reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([trusted])
            .resolve(name, address)
            .build()
            .unwrap()
    };
    let url = |name: &str| format!("https://{name}:{}/page", address.port());
    let name = "incidents.example.com";
    assert!(resolved(&second, name).get(url(name)).send().await.is_ok());
    assert!(resolved(&first, name).get(url(name)).send().await.is_err());
    assert!(resolved(&second, "example.com").get(url("example.com")).send().await.is_err());
}

#[tokio::test]
async fn a_certificate_of_the_companys_own_is_exchanged_without_a_restart() {
    let folder = scratch("tls");
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let make = || {
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        (pair.cert.pem(), pair.signing_key.serialize_pem())
    };
    let write = |(certificate, private): &(String, String)| {
        std::fs::write(&cert, certificate).unwrap();
        std::fs::write(&key, private).unwrap();
    };
    let origin = Origin::Files { cert: cert.clone(), key: key.clone() };
    let error = Tls::new(origin.clone(), &SystemClock::shared()).unwrap_err().to_string();
    assert!(error.contains("cert.pem"), "{error}");
    let (old, new) = (make(), make());
    write(&(old.0.clone(), new.1.clone()));
    let error = Tls::new(origin.clone(), &SystemClock::shared()).unwrap_err().to_string();
    assert!(error.contains("key.pem holds no usable key for that certificate"), "{error}");
    write(&old);
    let tls = Arc::new(Tls::new(origin, &SystemClock::shared()).unwrap());
    assert_eq!(tls.authority_pem(), None);
    let (address, _shutdown) = serve(&tls).await;
    let url = format!("https://{address}/page");
    assert!(trusting(&old.0).get(&url).send().await.is_ok());
    assert!(!tls.look().unwrap());
    // Half written: the old one is shown.
    std::fs::write(&cert, &new.0).unwrap();
    tls.tell(tls.look());
    assert!(tls.trouble().is_some());
    assert!(trusting(&old.0).get(&url).send().await.is_ok());
    let ready = format!("https://{address}/readyz");
    let told = trusting(&old.0).get(&ready).send().await.unwrap();
    assert_eq!(told.status(), 200);
    assert!(told.text().await.unwrap().contains("newer certificate"));
    write(&new);
    tls.tell(tls.look());
    assert_eq!(tls.trouble(), None);
    let told = trusting(&new.0).get(&ready).send().await.unwrap().text().await.unwrap();
    assert!(!told.contains("newer certificate"), "{told}");
    assert!(trusting(&new.0).get(&url).send().await.is_ok());
    assert!(trusting(&old.0).get(&url).send().await.is_err());
}
